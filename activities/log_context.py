"""Adds the run's id to every log line of its activities."""

from typing import Any

import structlog
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from models.turns import RUN_WORKFLOW, ToolCallInput, TurnInput


class LogContext(Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Named(next)


class _Named(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.workflow_type == RUN_WORKFLOW:
            # Never unbound: an activity has its own context, which ends with it.
            structlog.contextvars.bind_contextvars(run_id=info.workflow_id, attempt=info.attempt)
        if input.args and isinstance(input.args[0], TurnInput | ToolCallInput):
            structlog.contextvars.bind_contextvars(turn=input.args[0].turn)
        return await super().execute_activity(input)
