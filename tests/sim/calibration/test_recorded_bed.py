"""The recorded pump test bed: a fit to its first part, judged by the rest beside persistence."""

from __future__ import annotations

import numpy as np
import pytest

from tests.sim.calibration.pump_bed import ANOMALY_FREE, BED, COLUMNS, judge, telemetry_of


@pytest.mark.skipif(not ANOMALY_FREE.is_file(), reason="the SKAB recordings are not beside here")
def test_the_free_run_is_reported_beside_persistence(record_property: object) -> None:
    judged = judge(telemetry_of(ANOMALY_FREE))
    assert judged.fitted.unidentifiable(0) == ()
    assert judged.fitted.correlated[0]  # the model misses what stirs the temperatures
    assert np.isfinite(judged.free).all()
    better = {
        name: (
            bool(judged.free[j] < judged.persistence[j]),
            bool(judged.free[j] < judged.steady[j]),
        )
        for j, name in enumerate(COLUMNS)
    }
    # As docs/calibration.md says it: water, and the current, which follows the voltage.
    assert better["Thermocouple"] == (True, True)
    assert better["Current"] == (True, True)
    assert len(BED.outputs) == len(better)
    for name, errors in zip(
        COLUMNS, zip(judged.free, judged.persistence, strict=True), strict=True
    ):
        record_property(name, [float(error) for error in errors])  # type: ignore[operator]
