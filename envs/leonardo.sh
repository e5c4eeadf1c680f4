# Leonardo Booster: `source envs/leonardo.sh` before `make demo` or `snakemake --profile profiles/leonardo`.
module purge
module load python/3.11
