"""Pools and the end of a process: exit and Ctrl-C never hang."""

from tests.threads.scripts import script

QUICK = 8.0  # seconds that an exit may take on a busy machine; what is wrong takes longer


def test_exit_with_an_idle_pool():
    code, _, seconds = script(
        """
        pool = engine.WorkerPool(2, heavy=0)
        engine.modes.state.pools += (pool,)
        heavy()
        assert len(pool._threads) == 2
        done()
        """
    )
    assert code == 0
    assert seconds < QUICK


def test_exit_with_a_busy_pool():
    """Worker and thread are inside of a node when the main thread runs off its end."""
    code, lines, seconds = script(
        """
        begun = threading.Barrier(3)

        def work():
            def hook(g):
                begun.wait(10)
                while not engine.runtime.pool._exiting:
                    time.sleep(0)
            x = engine.ones(200, 200, requires_grad=True)
            p, q = x.exp(), x.tanh()
            p.register_hook(hook)
            q.register_hook(hook)
            with engine.WorkerPool(1, heavy=0):
                (p + q).sum().backward()
            print("finished", x.grad.shape)

        threading.Thread(target=work).start()
        begun.wait(10)
        done()
        """
    )
    assert code == 0
    assert "finished (200, 200)" in lines
    assert seconds < QUICK


def test_exit_while_a_thread_makes_its_first_backward():
    """The default pool would be made after the interpreter has told all pools to stop."""
    code, lines, seconds = script(
        """
        def work():
            threading.main_thread().join()
            heavy()
            with engine.WorkerPool(2, heavy=0):
                heavy()
            print("finished")

        threading.Thread(target=work).start()
        done()
        """
    )
    assert code == 0
    assert "finished" in lines
    assert seconds < QUICK


def test_exit_by_an_exception_in_a_backward():
    code, _, _ = script(
        """
        x = engine.ones(200, 200, requires_grad=True)
        y = x.exp()
        y.register_hook(lambda g: sys.exit(7))
        with engine.WorkerPool(2, heavy=0):
            (y + x.tanh()).sum().backward()
        """
    )
    assert code == 7


def test_exit_by_a_worker():
    """The caller raises what the hook in the worker has raised."""
    code, _, seconds = script(
        """
        def leave(g):
            both.wait(10)
            sys.exit(7)

        both = threading.Barrier(2)
        x = engine.ones(200, 200, requires_grad=True)
        p, q = x.exp(), x.tanh()
        p.register_hook(leave)
        q.register_hook(leave)
        done()
        with engine.WorkerPool(1, heavy=0):
            (p + q).sum().backward()
        """
    )
    assert code == 7
    assert seconds < QUICK


def test_exit_while_daemons_run_backwards():
    """Python does not wait for them; neither does it for the workers that help them."""
    code, _, seconds = script(
        """
        begun = threading.Barrier(3)

        def work():
            with engine.WorkerPool(2, heavy=0):
                heavy()
                begun.wait(10)
                while True:
                    heavy()

        for _ in range(2):
            threading.Thread(target=work, daemon=True).start()
        begun.wait(10)
        done()
        """
    )
    assert code == 0
    assert seconds < QUICK


def test_exit_while_a_daemon_trains():
    """The threads that train for it are daemons as it is."""
    code, _, seconds = script(
        """
        w = engine.zeros(64, requires_grad=True)
        x = np.ones((1000, 64), "f4")
        begun = threading.Event()

        def loss(rows):
            begun.set()
            return ((rows * w).sum(axis=1) - 1).pow(2).mean()

        def work():
            engine.hogwild.train(loss, (x,), engine.optim.SGD([w], lr=1e-3), epochs=10**9)

        threading.Thread(target=work, daemon=True).start()
        begun.wait(10)
        done()
        """
    )
    assert code == 0
    assert seconds < QUICK


def test_exit_from_a_training():
    """By its loss, in a thread, and by its callback, in the main thread."""
    for where in ("loss", "evaluate"):
        code, _, seconds = script(
            f"""
            w = engine.zeros(64, requires_grad=True)
            x = np.ones((1000, 64), "f4")

            def leave():
                done()
                sys.exit(7)

            def loss(rows):
                if {where!r} == "loss":
                    leave()
                return (rows * w).mean()

            engine.hogwild.train(
                loss, (x,), engine.optim.SGD([w], lr=1e-3), epochs=10**9, evaluate=leave
            )
            """
        )
        assert code == 7
        assert seconds < QUICK


def test_backwards_in_handlers_of_the_exit():
    """No thread may be started any more: all of it runs in the one that there is."""
    code, lines, seconds = script(
        """
        import atexit

        def nested(depth):
            with engine.enable_grad():
                x = engine.ones(200, 200, requires_grad=True)
                y = x.exp()
                y.register_hook(lambda g: nested(depth - 1) if depth else None)
                (y + x.tanh()).sum().backward()

        def last():
            heavy()
            with engine.WorkerPool(2, heavy=0):
                heavy()
                print("nested", nested(45))
                print("submitted", engine.submit(lambda: 7).result())
            print("finished")

        atexit.register(last)
        with engine.WorkerPool(2, heavy=0):
            heavy()
        done()
        """
    )
    assert code == 0
    assert lines[1:4] == ["nested None", "submitted 7", "finished"]
    assert seconds < QUICK


def test_interrupt_of_a_script_ends_it():
    code, lines, seconds = script(
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def hook(g):
            os.kill(os.getpid(), signal.SIGINT)
        x = engine.ones(200, 200, requires_grad=True)
        y = x.exp()
        y.register_hook(hook)
        try:
            with engine.WorkerPool(2, heavy=0):
                (y + x.tanh()).sum().backward()
        except KeyboardInterrupt:
            print("interrupted", x.grad)
        done()
        """
    )
    assert code == 0
    assert "interrupted None" in lines
    assert seconds < QUICK


def test_interrupt_while_deeply_nested_backwards_run_elsewhere():
    """The wait for their thread ends with that thread, not before."""
    code, lines, seconds = script(
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raised = threading.Event()

        def hook(g):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            print("late" if raised.wait(0.3) else "in time", flush=True)

        def nested(depth):
            with engine.enable_grad():
                x = engine.ones(4, requires_grad=True)
                y = x * 2
                y.register_hook(lambda g: nested(depth - 1) if depth else hook(g))
                (y * 3).sum().backward()

        try:
            nested(41)
        except KeyboardInterrupt:
            raised.set()
        print("raised", raised.is_set())
        done()
        """
    )
    assert code == 0
    assert lines[:2] == ["in time", "raised True"]
    assert seconds < QUICK
