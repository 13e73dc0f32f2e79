"""Credentials over the life of a task and of the service. An agent of its own."""
from conftest import Agent, Tasks, wait_for
from test_metadata import ROLE, SLEEP, Server, uris


def test_credentials_end_with_their_task(host):
    """M9, M14: the role's with the task's stop, the execution role's with its clean-up, also for an
    agent started again between; the ids stay the same."""
    agent = Agent(host, scale=10, ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION="1m").start()
    tasks, server = Tasks(agent), Server(agent)
    try:
        tasks.register("roles", {"name": "one", "command": SLEEP}, taskRoleArn=ROLE,
                       executionRoleArn=ROLE + "-exec")
        (arn,) = tasks.run("roles")
        tasks.wait("RUNNING", arn)
        _, v4, role = uris(agent, tasks.container_ids(arn)[0])
        acked = wait_for("both are acknowledged", lambda: (lambda ids: ids if len(ids) == 2 else ())(
            {e["body"]["message"]["credentialsId"] for e in agent.record("message", "acs")
             if e["body"]["type"] == "IAMRoleCredentialsAckRequest"}), 10)
        (execution,) = {"/v2/credentials/" + id for id in acked} - {role}
        assert server.status(role) == server.status(execution) == 200
        assert agent.stop() == 0
        agent.start()
        wait_for("both are back", lambda: server.status(role) == server.status(execution) == 200,
                 30, agent.logs)
        assert server.json(v4)["KnownStatus"] == "RUNNING"
        agent.aws("stop-task", "--task", arn)
        tasks.wait("STOPPED", arn)
        wait_for("the role's are gone", lambda: server.status(role) == 400, 10)
        assert server.status(execution) == 200
        assert server.json(v4)["KnownStatus"] == "STOPPED"
        wait_for("the execution role's go with the task", lambda: server.status(execution) == 400,
                 60, agent.logs)
        assert server.status(v4) == 404
    finally:
        agent.stop()
