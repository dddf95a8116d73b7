"""What the service does, written against the ports; controllers call these and nothing deeper."""
