"""gRPC over HTTP/2 in one thread of Python: what `grpc.aio` does for a server, at a tenth of its cost.

Rule: takes the handlers that `grpc.aio` takes, so that services written for it run here unchanged. Everything a peer
sends is bounded, and what breaks the protocol ends the stream or the connection as RFC 9113 has it.
"""
