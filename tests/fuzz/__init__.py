"""Whatever stands in a file or an answer, each reader gives a result or refuses it in words: tried with damaged ones.

    make fuzz                                        an hour over all targets
    python -m tests.fuzz --minutes 5 zone LDIF       five minutes each

`targets.py` has the table of readers, `mutations.py` damages seeds by the words and brackets they consist of, `found/`
keeps what went wrong once. `tests/test_fuzz.py` runs both in every test run, without atheris.
"""
