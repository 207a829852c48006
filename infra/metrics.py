"""Prometheus metrics: counts and times of this process, with few labels and never an id or content."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from infra.database.run_transitions import (
    OutputsSubmitted,
    RunCreated,
    RunEnded,
    RunReopened,
    RunStarted,
    RunTransition,
)

MAX_MODEL_LABELS = 50
OTHER_MODEL = "other"

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
QUEUE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300)
MODEL_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
SERVER_CALL_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
TOOL_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)


class Metrics:
    """The metrics of one process, on a registry of their own."""

    def __init__(self, models: Iterable[str] = ()) -> None:
        """`models` are the names that the operator offers; see `ModelLabels`."""
        self.registry = CollectorRegistry()
        self.models = ModelLabels(models)
        ProcessCollector(registry=self.registry)
        self._open_run_metrics(self.registry)
        self._open_model_metrics(self.registry)
        self._open_tool_metrics(self.registry)
        self._open_http_metrics(self.registry)

    def count_run_transitions(self, transitions: Sequence[RunTransition]) -> None:
        """Count the run transitions of a committed transaction."""
        for transition in transitions:
            match transition:
                case RunCreated():
                    self.runs_created.inc()
                case RunStarted(queued_seconds=seconds):
                    self.run_queue_seconds.observe(seconds)
                case OutputsSubmitted(awaited_seconds=seconds):
                    self.tool_outputs_seconds.observe(seconds)
                case RunEnded(status=status):
                    self.runs_ended.labels(status).inc()
                case RunReopened():
                    self.runs_reopened.inc()

    def _open_run_metrics(self, registry: CollectorRegistry) -> None:
        self.runs_created = Counter("holdfast_runs_created", "Runs that clients created.", registry=registry)
        self.runs_ended = Counter("holdfast_runs_ended", "Runs that ended, by status.", ["status"], registry=registry)
        self.runs_reopened = Counter("holdfast_runs_reopened", "Failed runs that were resumed.", registry=registry)
        self.run_queue_seconds = Histogram(
            "holdfast_run_queue_seconds",
            "From when a run was queued, by its creation or its tool outputs, until a worker started it.",
            buckets=QUEUE_SECONDS,
            registry=registry,
        )
        self.tool_outputs_seconds = Histogram(
            "holdfast_tool_outputs_seconds",
            "From when a run required action until its tool outputs were submitted.",
            buckets=TOOL_SECONDS,
            registry=registry,
        )

    def _open_model_metrics(self, registry: CollectorRegistry) -> None:
        self.model_call_seconds = Histogram(
            "holdfast_model_call_seconds",
            "Duration of model calls, by outcome: answered, failed, or cut_short by a cancel or a deadline.",
            ["model", "outcome"],
            buckets=MODEL_SECONDS,
            registry=registry,
        )
        self.model_first_chunk_seconds = Histogram(
            "holdfast_model_first_chunk_seconds",
            "From a model call until the first piece of its answer.",
            ["model"],
            buckets=MODEL_SECONDS,
            registry=registry,
        )
        self.model_failures = Counter(
            "holdfast_model_failures", "Model calls that failed, by error.", ["model", "error"], registry=registry
        )
        self.tokens = Counter(
            "holdfast_tokens",
            "Tokens that models counted, by direction: input, output.",
            ["model", "direction"],
            registry=registry,
        )

    def _open_tool_metrics(self, registry: CollectorRegistry) -> None:
        self.tool_call_seconds = Histogram(
            "holdfast_tool_call_seconds",
            "Duration of attempts at tool calls that the server runs, by outcome: answered, failed for good, "
            "postponed, unavailable and retried, or cut_short by a cancel or a deadline.",
            ["tool", "outcome"],
            buckets=SERVER_CALL_SECONDS,
            registry=registry,
        )

    def _open_http_metrics(self, registry: CollectorRegistry) -> None:
        self.http_requests = Counter(
            "holdfast_http_requests", "Answers, by route and status.", ["method", "route", "status"], registry=registry
        )
        self.http_request_seconds = Histogram(
            "holdfast_http_request_seconds",
            "From a request until its answer begins; a stream may go on for long after.",
            ["method", "route"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self.streams_open = Gauge("holdfast_streams_open", "Event streams that are open.", registry=registry)


class ModelLabels:
    """The models with a label of their own: the operator's, and the first others that answered.

    Without a models file clients choose the names, and a name that never answered must not use up a label.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._labelled = set(known)
        self._left = MAX_MODEL_LABELS

    def of(self, model: str) -> str:
        return model if model in self._labelled else OTHER_MODEL

    def of_answering(self, model: str) -> str:
        """The label of a model that has just answered."""
        if model not in self._labelled and self._left:
            self._labelled.add(model)
            self._left -= 1
        return self.of(model)
