"""What the service tells about itself: log, metrics, traces, and a record of its predictions.

Rule: nothing here may cost an answer. What can't be written or sent is dropped and counted.
"""

from reference_service.telemetry.log import RefusalLog, log_event, log_failure, log_to_stderr
from reference_service.telemetry.predictions import PredictionLog

__all__ = ["PredictionLog", "RefusalLog", "log_event", "log_failure", "log_to_stderr"]
