"""The experiments on Google Cloud, run by the real `chaos run` against a fake: a contract, not a proof."""
