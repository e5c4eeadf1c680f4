"""How a run shows its jobs and puts them together."""


def show_messages_in_runs(workflow) -> None:
    """Have a run show each job by its message, a dry run by its files, resources and reason.

    Snakemake shows one of the two: the message where it is true.
    """

    class Message(str):
        def __bool__(self):
            return not workflow.dryrun

    for rule in workflow.rules:
        if rule.message:
            rule.message = Message(rule.message)


def group_shards(workflow) -> None:
    """Put shards of one rule into one job where the profile's `group-components` has `shards`.

    Not those of rules that ask for GPUs, which a group would add up.
    """

    def group(wildcards):
        return "shards" if "shards" in workflow.group_settings.group_components else None

    for rule in workflow.rules:
        if "shard" in rule.wildcard_names and "gpu_slots" not in rule.resources:
            rule.group = group
