"""Who may call, and how much: credentials, scopes, quotas, certificates.

Rule: a credential is checked before anything that a caller sent is parsed. No text that leaves this package holds a
credential, or says how near a wrong one came.
"""
