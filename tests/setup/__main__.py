"""`python -m tests.setup`: get what is missing, or say what is."""

import sys

from tests.setup import corpus, peers


def main() -> int:
    """Peers first: they need a person where we are not root on Debian."""
    try:
        peers.provide()
        corpus.provide()
    except (peers.MissingPeers, corpus.MissingCorpus) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


sys.exit(main())
