"""Put a report into a pull request as one comment, written anew each time. For action.yml; the standard library alone.

Environment: REPORT (a Markdown file), TOKEN, PULL_REQUEST (its number), TITLE (tells comments of several
configurations apart), GITHUB_API_URL and GITHUB_REPOSITORY.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LONGEST = 60_000  # characters; GitHub takes 65,536
SECONDS = 30
PAGES = 20  # of 100 comments


def main() -> int:
    """Write the comment; 1 when that is not possible, which does not change the verdict."""
    place = os.environ["GITHUB_API_URL"].rstrip("/") + "/repos/" + os.environ["GITHUB_REPOSITORY"]
    mark = f"<!-- edgeasc check {re.sub(r'[^A-Za-z0-9./_-]', '_', os.environ.get('TITLE', ''))} -->"
    try:
        number = int(os.environ["PULL_REQUEST"])
        body = mark + "\n" + shortened(Path(os.environ["REPORT"]).read_text("utf-8"))
        known = find(f"{place}/issues/{number}/comments", mark)
        if known is None:
            ask("POST", f"{place}/issues/{number}/comments", {"body": body})
        else:
            ask("PATCH", f"{place}/issues/comments/{known}", {"body": body})
    except (OSError, ValueError, KeyError, TypeError) as error:  # HTTP errors are OSErrors
        print(f"comment: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def find(url: str, mark: str) -> int | None:
    """The number of our comment from an earlier run."""
    for page in range(1, PAGES + 1):
        comments = ask("GET", f"{url}?per_page=100&page={page}")
        for comment in comments:
            if comment["body"].startswith(mark):
                return int(comment["id"])
        if len(comments) < 100:
            break
    return None


def shortened(text: str) -> str:
    """`text`, cut at a line where it is longer than GitHub takes."""
    if len(text) <= LONGEST:
        return text
    return text[:LONGEST].rpartition("\n")[0] + "\n\nThe rest is in the step's summary.\n"


def ask(method: str, url: str, document: dict[str, str] | None = None) -> Any:
    """GitHub's answer."""
    request = urllib.request.Request(url, method=method)
    request.add_header("Authorization", f"Bearer {os.environ['TOKEN']}")
    request.add_header("Accept", "application/vnd.github+json")
    data = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(request, data, timeout=SECONDS) as answer:
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
