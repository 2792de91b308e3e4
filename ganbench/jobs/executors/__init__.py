"""Who runs jobs: processes that outlive what a model does, with time limits, logs and one writer of records."""
