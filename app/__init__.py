"""The service: settings, wiring, HTTP, telemetry, command line. Reaches backends only through their entry points."""
