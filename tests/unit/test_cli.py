"""What every entry point shares."""

import os
import signal
import subprocess
import sys

JOB = """
import sys, time
from skyloom import cli

def main():
    with cli.atomic(sys.argv[1]) as part:
        part.write_text("half")
        print("writing", flush=True)
        time.sleep(60)

cli.run(main)
"""


def test_a_terminated_job_leaves_no_half_written_file(tmp_path, repository):
    environment = {**os.environ, "PYTHONPATH": str(repository / "scripts")}
    command = [sys.executable, "-c", JOB, str(tmp_path / "made.nc")]
    job = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert job.stdout.readline() == "writing\n"
    assert len(list(tmp_path.iterdir())) == 1
    job.send_signal(signal.SIGTERM)
    assert job.wait(30) == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
