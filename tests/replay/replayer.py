"""Replays histories in the workflows of a worker, without a server."""

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Interceptor, Replayer

from tests.sandbox import SANDBOXED
from workflows.ingest_workflow import IngestBatchWorkflow, IngestWorkflow
from workflows.run_workflow import RunWorkflow
from workflows.scheduled_sweep_workflow import ScheduledSweepWorkflow
from workflows.sweep_workflow import SweepWorkflow
from workflows.web_crawl_workflow import WebCrawlWorkflow


def replayer(*interceptors: Interceptor) -> Replayer:
    return Replayer(
        workflows=[
            RunWorkflow,
            IngestWorkflow,
            IngestBatchWorkflow,
            WebCrawlWorkflow,
            SweepWorkflow,
            ScheduledSweepWorkflow,
        ],
        workflow_runner=SANDBOXED,
        data_converter=pydantic_data_converter,
        interceptors=interceptors,
    )
