# The report's front page, and summary.md and index.html at the end of every run, good or bad.
import time

from dag.report import Report, end_run


report: "../report/workflow.rst"


STARTED = time.time()
# captions and the front page read it
config["report"] = Report(studies, RUN)


onsuccess:
    end_run(workflow, config, studies, "finished", STARTED, log)


onerror:
    end_run(workflow, config, studies, "failed", STARTED, log)
