"""What the tests need beyond the locked packages: real peers from Debian, real letters from npm."""
