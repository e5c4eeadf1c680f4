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

    Not those with GPUs: a group runs its jobs side by side, with the GPUs of one of them.
    """

    def grouping(rule):
        slots = rule.resources.get("gpu_slots")

        def group(wildcards):
            # while the Snakefile is read the settings of groups are not there yet
            wanted = "shards" in workflow.group_settings.group_components
            on_gpus = slots is not None and slots.evaluate(wildcards).value
            return "shards" if wanted and not on_gpus else None

        return group

    for rule in workflow.rules:
        if "shard" in rule.wildcard_names:
            rule.group = grouping(rule)
