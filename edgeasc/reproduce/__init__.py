"""The tables of the papers, run again: which rows, on which recordings, and what came out beside what was printed.

`tables` reads a table's definition (TOML beside this file), `sources` matches recordings to what it needs, `plan` lists
the runs, `execute` trains them one after another (a killed one goes on), `results` makes the table. Training itself is
`train`'s.
"""
