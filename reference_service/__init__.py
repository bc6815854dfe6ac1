"""The reference inference service: an Open Inference Protocol v2 server that shows what ready looks like.

Rule: it knows nothing of the harness; others import only its `protocol`.
"""
