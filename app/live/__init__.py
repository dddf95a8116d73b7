"""The live endpoint: messages, one connection, refused handshakes, tickets for browsers."""
