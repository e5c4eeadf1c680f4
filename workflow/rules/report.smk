# The begin and the end of a run: its lock, and summary.md and index.html, good or bad. The report's
# front page.
import time

from dag.report import Report, end_run
from dag.runs import hold, unlock


report: "../report/workflow.rst"


STARTED = time.time()
# captions and the front page read it
config["report"] = Report(studies, RUN)


if workflow.is_main_process:
    unlock(RUN)


onstart:
    hold(RUN)


onsuccess:
    end_run(workflow, config, studies, "finished", STARTED, log)


onerror:
    end_run(workflow, config, studies, "failed", STARTED, log)
