# The begin and the end of a run: its lock, and summary.md and index.html, good or bad. The report's
# front page.
import time

from dag.report import Report, end_run
from dag.runs import begin, end, make_whole, unlock


report: "../report/workflow.rst"


STARTED = time.time()
# captions and the front page read it
config["report"] = Report(studies, RUN)


if workflow.is_main_process:
    unlock(RUN)
    make_whole(workflow, RUN, lambda: [file for s in studies.values() for file in s.again()])


onstart:
    begin(workflow, RUN, state_folder)


onsuccess:
    end(workflow, RUN, "finished")
    end_run(workflow, config, studies, "finished", STARTED, log)


onerror:
    end(workflow, RUN, "failed")
    end_run(workflow, config, studies, "failed", STARTED, log)
