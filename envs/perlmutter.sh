# Perlmutter: `source envs/perlmutter.sh` before `make demo` or `snakemake --profile profiles/perlmutter`.
module load python
