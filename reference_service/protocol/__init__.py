"""The words of the wire: the Open Inference Protocol v2, tensors as bytes, and the service's metadata.

Rule: this is all that others may import of the service; it knows neither model nor server.
"""
