"""The rules' messages, in runs only."""


def show_in_runs_only(workflow) -> None:
    """Have a run show each job by its message, a dry run by its files, resources and reason.

    Snakemake shows one of the two: the message where it is true.
    """

    class Message(str):
        def __bool__(self):
            return not workflow.dryrun

    for rule in workflow.rules:
        if rule.message:
            rule.message = Message(rule.message)
