"""`python -m stagetwin` is the command line."""

from stagetwin.cli import main

if __name__ == "__main__":
    main()
