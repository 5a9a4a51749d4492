"""In Kit: the window comes and goes, and a stage is what it was after a connection that failed."""

from __future__ import annotations

import omni.kit.app
import omni.kit.test
import omni.ui as ui
import omni.usd

from stagetwin_kit import TwinExtension


class TestExtension(omni.kit.test.AsyncTestCase):
    """Runs in Kit alone."""

    async def setUp(self) -> None:
        """Open a new stage."""
        await omni.usd.get_context().new_stage_async()

    async def test_the_window_is_there(self) -> None:
        """The extension made its window when it started."""
        self.assertIsNotNone(ui.Workspace.get_window("Live twin"))

    async def test_a_service_that_is_not_there_leaves_the_stage_alone(self) -> None:
        """Nothing listens on port 9; after leaving, the session layer is what it was."""
        stage = omni.usd.get_context().get_stage()
        before = list(stage.GetSessionLayer().subLayerPaths)
        extension = TwinExtension()
        extension.on_startup("stagetwin.kit-test")
        try:
            extension.connect("ws://127.0.0.1:9", "")
            for _ in range(10):
                await omni.kit.app.get_app().next_update_async()
            self.assertIsNotNone(extension.session)
        finally:
            extension.on_shutdown()
        self.assertEqual(list(stage.GetSessionLayer().subLayerPaths), before)
