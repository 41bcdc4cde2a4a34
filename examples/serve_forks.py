"""Serve forks over HTTP with FastAPI: a sheet and a stencil are sent, the merged sheet comes back as a PNG.

    pip install "maskgrid[diffusers]" fastapi python-multipart uvicorn
    python examples/serve_forks.py [--model owner/name] [--port 8000]
    curl -F sheet=@sheet.png -F stencil=@stencil.png -F rows=3 -F columns=3 -F "prompt=a sad face" \
        http://127.0.0.1:8000/forks -o merged.png

One run at a time: while one is going on, others are told to come again.
"""

import argparse
import io
from typing import Annotated

from fastapi import FastAPI, File, Form, HTTPException
from fastapi.responses import Response

from maskgrid import MaskGrid, MaskGridError
from maskgrid.errors import PipelineBusyError
from maskgrid.load_pipeline import load_pipeline

MOST_BYTES = 20_000_000
MOST_PIXELS = 16_000_000


def make_app(grid: MaskGrid) -> FastAPI:
    """The service around a `MaskGrid` that does not wait (`wait=False`)."""
    app = FastAPI(title="maskgrid")

    # Not `async`: a run takes long, so it belongs into a thread, where FastAPI puts plain functions.
    @app.post("/forks", response_class=Response)
    def forks(
        sheet: Annotated[bytes, File(max_length=MOST_BYTES)],
        stencil: Annotated[bytes, File(max_length=MOST_BYTES)],
        rows: Annotated[int, Form(ge=1, le=64)],
        columns: Annotated[int, Form(ge=1, le=64)],
        prompt: Annotated[str, Form(max_length=1000)],
        steps: Annotated[int, Form(ge=1, le=100)] = 20,
        seed: Annotated[int, Form()] = 0,
    ) -> Response:
        """The sheet with every cell new."""
        try:
            made = grid(
                image=sheet,
                mask=stencil,
                rows=rows,
                columns=columns,
                prompt=prompt,
                steps=steps,
                seed=seed,
                max_pixels=MOST_PIXELS,
            )
        except PipelineBusyError as error:
            raise HTTPException(503, str(error), headers={"Retry-After": "10"}) from error
        except MaskGridError as error:
            raise HTTPException(422, str(error)) from error
        picture = io.BytesIO()
        made.merged().save(picture, "PNG")
        return Response(picture.getvalue(), media_type="image/png")

    return app


def main() -> None:
    """Serves on this machine alone until it is stopped."""
    import uvicorn

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="bundled", help="(default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(default: %(default)s)")
    options = parser.parse_args()
    uvicorn.run(make_app(MaskGrid(load_pipeline(options.model), wait=False)), port=options.port)


if __name__ == "__main__":
    main()
