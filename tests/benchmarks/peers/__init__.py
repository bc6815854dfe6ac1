"""The reference service beside other inference servers: same model, same requests, same load, in turns.

Rule: a peer runs as its users run it, in an environment of its own, with the settings that its documentation names as
fastest; what can't be had is UNKNOWN with the reason, never a zero.
"""
