"""The long runs behind the figures: `make campaign NAME=`. Each has a small sister in `make test`
(tests/pipeline/test_campaigns.py), which plays the same function at about a hundredth of its size."""
