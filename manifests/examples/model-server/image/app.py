"""Serves the model: POST /predict, health, readiness and metrics.

Settings come from the environment: MODEL_NAME and THRESHOLD (a ConfigMap), API_KEY (a Secret).
"""
import hmac
import math
import os
import threading
import time
from typing import List

import joblib
from fastapi import FastAPI, Header, HTTPException, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from pydantic import BaseModel, Field

MODEL_NAME = os.environ.get("MODEL_NAME", "breast-cancer")
THRESHOLD = float(os.environ.get("THRESHOLD", "0.5"))
API_KEY = os.environ.get("API_KEY", "")
MODEL_PATH = os.environ.get("MODEL_PATH", os.path.join(os.path.dirname(__file__), "model.joblib"))
POSITIVE = "malignant"
MAX_INSTANCES = 1024

REQUESTS = Counter("model_requests_total", "Requests by path and status", ["path", "status"])
SECONDS = Histogram("model_request_seconds", "Time to answer", ["path"])
PREDICTIONS = Counter("model_predictions_total", "Predictions by label", ["model", "label"])

app = FastAPI(title=f"model-server: {MODEL_NAME}")
bundle = {}


def load() -> None:
    bundle.update(joblib.load(MODEL_PATH))


@app.on_event("startup")
def start() -> None:
    # Health answers at once, readiness when the model is there.
    threading.Thread(target=load, daemon=True).start()


class Instances(BaseModel):
    instances: List[List[float]] = Field(..., min_items=1, max_items=MAX_INSTANCES)


@app.middleware("http")
async def measure(request: Request, call_next):
    began = time.perf_counter()
    response = await call_next(request)
    route = request.scope.get("route")
    path = route.path if route else "other"
    SECONDS.labels(path).observe(time.perf_counter() - began)
    REQUESTS.labels(path, response.status_code).inc()
    return response


@app.get("/healthz")
def healthz() -> dict:
    return {"status": "ok"}


@app.get("/readyz")
def readyz() -> dict:
    if not bundle:
        raise HTTPException(503, "the model is still loading")
    return {"status": "ready", "model": MODEL_NAME, "accuracy": bundle["accuracy"]}


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@app.post("/predict")
def predict(body: Instances, x_api_key: str = Header(default="")) -> dict:
    if not API_KEY or not hmac.compare_digest(x_api_key.encode(), API_KEY.encode()):
        raise HTTPException(401, "a valid X-API-Key header is required")
    if not bundle:
        raise HTTPException(503, "the model is still loading")
    wanted = len(bundle["features"])
    for number, instance in enumerate(body.instances):
        if len(instance) != wanted or not all(map(math.isfinite, instance)):
            raise HTTPException(
                422, f"instances[{number}]: {wanted} finite numbers are needed, {len(instance)} came"
            )
    positive = bundle["labels"].index(POSITIVE)
    negative = bundle["labels"][1 - positive]
    predictions = []
    for row in bundle["model"].predict_proba(body.instances):
        probability = float(row[positive])
        label = POSITIVE if probability >= THRESHOLD else negative
        PREDICTIONS.labels(MODEL_NAME, label).inc()
        predictions.append({"label": label, "probability": round(probability, 6)})
    return {"model": MODEL_NAME, "threshold": THRESHOLD, "predictions": predictions}
