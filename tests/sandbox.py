"""The sandbox of workflows in every test and replay; in production they run without it.

See docs/decisions/0013-workflows-run-unsandboxed-in-production.md.
"""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

# `models` is pure; of the others, workflows use only names and values. All other imports of workflow modules must be
# known to the sandbox, or the worker does not start.
SANDBOXED = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        "models", "activities", "workflows.activity_options"
    ).with_import_notification_policy(
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
)
