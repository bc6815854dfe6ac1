"""The `local` provider: zones of service processes on this machine, behind the real Envoy."""
