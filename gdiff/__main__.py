"""`python -m gdiff`: the command line, where `gdiff` is GNU diff."""

from gdiff.cli import main

if __name__ == "__main__":
    main()
