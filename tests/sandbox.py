"""The sandbox of workflows in every test and replay; in production they run without it.

See docs/decisions/0013-workflows-run-unsandboxed-in-production.md.
"""

from dataclasses import dataclass, field

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy, _Definition


@dataclass(frozen=True)
class _PreparesOnce(SandboxedWorkflowRunner):
    """Tries the import of a workflow in the sandbox once per process, and not at each start of a worker."""

    _prepared: set[type] = field(default_factory=set, init=False)

    def prepare_workflow(self, defn: _Definition) -> None:
        if defn.cls not in self._prepared:
            super().prepare_workflow(defn)
            self._prepared.add(defn.cls)


# `models` is pure; of the others, workflows use only names and values. All other imports of workflow modules must be
# known to the sandbox, or the worker does not start.
SANDBOXED = _PreparesOnce(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "models", "activities", "workflows.activity_options"
    ).with_import_notification_policy(
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
)
