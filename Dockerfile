# Server and proxy in one image; the proxy's port, 1223, is the public one.
#
#   docker build -t rowcast .
#   docker build -t rowcast --build-arg TORCH_INDEX= .        torch as it comes: with CUDA
#   docker run --rm -p 1223:1223 -e JWT_SECRET="$JWT_SECRET" rowcast

FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

# The kernels are compiled for the processor at hand, once, when a model is first served.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/rowcast

# First torch alone: the CPU build is a tenth of what the plain pin brings.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements.txt ./
RUN if [ -n "$TORCH_INDEX" ]; then \
        pin="$(sed -n 's/^torch==//p' requirements.txt)" \
        && pip install --no-deps --index-url "$TORCH_INDEX" "torch==$pin+cpu"; \
    fi \
    && pip install -r requirements.txt

# Caches that outlive a container are mounted here.
RUN useradd --create-home --uid 1000 rowcast \
    && for cache in hf_cache tvm_cache tti_cache; do \
        install -d -o rowcast -g rowcast "/mnt/falcon-galaxy-store/$cache"; \
    done \
    && chown rowcast:rowcast /mnt/falcon-galaxy-store

COPY . .
RUN python -m compileall -q inference-api proxy scripts

USER rowcast
ENV PROXY_HOST=0.0.0.0
EXPOSE 1223

HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('PROXY_PORT', '1223') + '/readiness', timeout=4)"]

# Process 1 passes SIGTERM on, lets open streams finish, and ends when either of the two does.
CMD ["python", "scripts/serve", "--foreground"]
