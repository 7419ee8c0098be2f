"""A gate's report for every reader: text and Markdown blocks, JUnit, GitHub annotations, SARIF."""
