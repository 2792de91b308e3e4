# CPU and CUDA: the pinned torch is the CUDA build, which also runs without a GPU.
#   docker build -t ganbench . && docker run --rm ganbench run --suite smoke --out /tmp/first
#   docker run --rm --gpus all -v "$PWD/runs:/runs" ganbench run --suite all --out /runs/all
FROM python:3.11-slim
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY ganbench ganbench
COPY baselines baselines
COPY leaderboards leaderboards
RUN pip install --no-cache-dir -c constraints.txt . && useradd --create-home ganbench
USER ganbench
WORKDIR /home/ganbench
ENTRYPOINT ["ganbench"]
CMD ["--help"]
