/* What ACS sends and what becomes of it, without a network: messages in, acks and requests to the
 * other workers out. */
#include "unit.h"

#include "../fakes/acs.h"

#include <errno.h>
#include <stdio.h>

#include "payload_json.h"

static void receive(const char *text)
{
        acs_message(fake.backend.acs, text, strlen(text));
}

/* With ' for ". */
static void receive_quoted(const char *text)
{
        cleanup_free char *copy = mem_strdup(text);
        for (char *p = copy; *p != '\0'; p++)
                *p = *p == '\'' ? '"' : *p;
        receive(copy);
}

static const char *sent_type(size_t i)
{
        const char *type = json_string_value(json_object_get(json_array_get(fake.sent, i), "type"));
        return type != NULL ? type : "";
}

static const char *sent_text(size_t i, const char *key)
{
        const json_t *m = json_object_get(json_array_get(fake.sent, i), "message");
        const char *text = json_string_value(json_object_get(m, key));
        return text != NULL ? text : "";
}

static const Ecs__RunTasks *last_run(void)
{
        for (size_t i = fake.asked_count; i-- > 0;)
                if (fake.asked[i]->body_case == ECS__ENVELOPE__BODY_RUN_TASKS)
                        return fake.asked[i]->run_tasks;
        return NULL;
}

static int setup(void **state)
{
        (void)state;
        fake_init();
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        fake_clear();
        return 0;
}

#define TASK(ARN, MORE)                                                                            \
        "{'arn':'" ARN "','family':'f','version':'1','desiredStatus':'RUNNING','containers':"      \
        "[{'name':'c','image':'i'}]" MORE "}"
#define PAYLOAD(ID, TASKS)                                                                         \
        "{'type':'PayloadMessage','message':{'messageId':'" ID                                     \
        "','clusterArn':'c','containerInstanceArn':'i','seqNum':5,'tasks':[" TASKS "]}}"
#define CREDENTIALS(ID)                                                                            \
        "{'credentialsId':'" ID "','roleArn':'r','accessKeyId':'a','secretAccessKey':'s',"         \
        "'sessionToken':'t','expiration':'2099-01-01T00:00:00Z'}"

/* ---- what counts as activity ---- */

static void unreadable_messages_are_as_if_never_sent(void **state)
{
        static const char *const cases[] = {
                "",
                "{",
                "[]",
                "null",
                "7",
                "{}",
                "{'type':null}",
                "{'type':7,'message':{}}",
                "{'type':'Unheard','message':{}}",
                "{'type':'HeartbeatMessage'}",
                "{'type':'HeartbeatMessage','message':[]}",
                "{'type':'HeartbeatMessage','message':{'messageId':1}}",
                "{'type':'HeartbeatMessage','message':{'messageId':'a','healthy':'yes'}}",
                "{'type':'PayloadMessage','message':{'messageId':'a','clusterArn':'c',"
                "'containerInstanceArn':'i','tasks':{}}}",
                PAYLOAD("a", TASK("t", ",'containers':7")),
                PAYLOAD("a", TASK("t", ",'cpu':'much'")),
                PAYLOAD("a", TASK("t", ",'roleCredentials':[]")),
                PAYLOAD("a", TASK("t", ",'volumes':[7]")),
                "{'type':'TaskManifestMessage','message':{'messageId':'a','timeline':'1'}}",
                "{'type':'TaskManifestMessage','message':{'messageId':'a','timeline':1,'tasks':[1]}"
                "}",
                "{'type':'TaskStopVerificationAck','message':{'messageId':'a','stopTasks':"
                "[{'taskArn':1}]}}",
                "{'type':'IAMRoleCredentialsMessage','message':{'messageId':'a','taskArn':'t',"
                "'roleType':'TaskApplication','roleCredentials':{'credentialsId':1}}}",
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                receive_quoted(cases[i]);
                fake_run();
                if (fake.activity != 0 || json_array_size(fake.sent) != 0 || fake.asked_count != 0)
                        fail_msg("%s: %u %zu %zu", cases[i], fake.activity,
                                 json_array_size(fake.sent), fake.asked_count);
        }
}

static void recognised_messages_without_an_answer_are_activity(void **state)
{
        static const char *const cases[] = {
                "{'type':'CloseMessage','message':{}}",
                "{'type':'ErrorMessage','message':{}}",
                "{'type':'ServerException','message':{}}",
                "{'type':'InactiveInstanceException','message':{}}",
                "{'type':'PayloadMessage','message':{'messageId':'','clusterArn':'c',"
                "'containerInstanceArn':'i'}}",
                "{'type':'TaskManifestMessage','message':{'messageId':'m','timeline':0}}",
                "{'type':'TaskManifestMessage','message':{'messageId':'m','timeline':9,"
                "'tasks':[{'taskArn':'t'}]}}",
                "{'type':'TaskStopVerificationAck','message':{'messageId':'unknown'}}",
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                receive_quoted(cases[i]);
                fake_run();
                if (fake.activity != i + 1 || json_array_size(fake.sent) != 0)
                        fail_msg("%s", cases[i]);
        }
}

static void members_are_found_in_any_case(void **state)
{
        (void)state;
        receive_quoted("{'Type':'HeartbeatMessage','Message':{'MESSAGEID':'a','Healthy':true,"
                       "'unknown':{}}}");
        assert_string_equal(sent_type(0), "HeartbeatAckRequest");
        assert_string_equal(sent_text(0, "messageId"), "a");
}

/* ---- payloads ---- */

static void a_payload_is_acknowledged_after_the_engine_has_it(void **state)
{
        (void)state;
        receive_quoted(PAYLOAD("p", TASK("t", "")));
        assert_int_equal(fake.asked_count, 1);
        assert_int_equal(json_array_size(fake.sent), 0);
        fake_run();
        assert_string_equal(sent_type(0), "AckRequest");
        assert_string_equal(sent_text(0, "cluster"), "c");
        assert_string_equal(sent_text(0, "containerInstance"), "i");
        assert_int_equal(fake.backend.sequence, 5);
}

static void an_engine_that_fails_gets_no_ack(void **state)
{
        (void)state;
        fake.status = -EIO;
        receive_quoted(PAYLOAD("p", TASK("t", "")));
        fake_run();
        assert_int_equal(json_array_size(fake.sent), 0);
}

static void an_empty_payload_is_acknowledged(void **state)
{
        (void)state;
        receive_quoted(PAYLOAD("p", ""));
        fake_run();
        assert_string_equal(sent_text(0, "messageId"), "p");
}

static void credentials_are_served_first_and_acknowledged_one_by_one(void **state)
{
        (void)state;
        receive_quoted(PAYLOAD(
                "p", TASK("t", ",'roleCredentials':" CREDENTIALS(
                                       "A") ",'executionRoleCredentials':" CREDENTIALS("B"))));
        assert_int_equal(fake.asked_count, 1);
        assert_int_equal(fake.asked[0]->body_case, ECS__ENVELOPE__BODY_PUT_CREDENTIALS);
        assert_int_equal(fake.asked[0]->put_credentials->n_credentials, 2);
        fake_run();
        assert_string_equal(last_run()->tasks[0]->credentials_id, "A");
        assert_string_equal(last_run()->tasks[0]->execution_credentials_id, "B");
        assert_int_equal(json_array_size(fake.sent), 3);
        for (size_t i = 1; i < 3; i++) {
                assert_string_equal(sent_type(i), "IAMRoleCredentialsAckRequest");
                assert_string_equal(sent_text(i, "messageId"), "p");
                assert_string_equal(sent_text(i, "credentialsId"), i == 1 ? "A" : "B");
                assert_string_equal(sent_text(i, "expiration"), "2099-01-01T00:00:00Z");
        }
}

/* Nothing would ever drop them: a task that never was has no end. */
static void credentials_the_engine_did_not_take_are_not_kept(void **state)
{
        (void)state;
        receive_quoted(PAYLOAD("p", TASK("t", ",'roleCredentials':" CREDENTIALS("A"))));
        assert_null(fake.backend.held);
        fake.status = -EIO;
        fake_run();
        assert_null(fake.backend.held);
        fake.status = 0;
        receive_quoted(PAYLOAD("p", TASK("t", ",'roleCredentials':" CREDENTIALS("A"))));
        fake_run();
        assert_non_null(fake.backend.held);
}

/* B14 */
static void a_bad_task_keeps_the_payload_from_being_acknowledged(void **state)
{
        static const char *const bad[] = {
                TASK("bad", ",'networkMode':'awsvpc'"),
                TASK("bad", ",'cpu':-1"),
                TASK("bad", ",'volumes':[{'host':{}}]"),
                TASK("bad", ",'roleCredentials':{'credentialsId':''}"),
                "{'arn':'bad','desiredStatus':'PAUSED','containers':[]}",
                "{'arn':'bad','desiredStatus':'RUNNING','containers':[{'name':'','image':'i'}]}",
                "{'arn':'bad','desiredStatus':'RUNNING','containers':[{'name':'c','image':'i',"
                "'portMappings':[{'containerPort':70000}]}]}",
                "{'arn':'bad','desiredStatus':'RUNNING','containers':[{'name':'c','image':'i',"
                "'overrides':'{'}]}",
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                cleanup_free char *text = mem_printf(PAYLOAD("p", "%s," TASK("good", "")), bad[i]);
                receive_quoted(text);
                fake_run();
                const Ecs__RunTasks *run = last_run();
                assert_int_equal(run->n_tasks, 2);
                if (strncmp(run->tasks[0]->invalid_reason,
                            "UnrecogniedTaskError: Error loading task - ", 43) != 0)
                        fail_msg("%s: %s", bad[i], run->tasks[0]->invalid_reason);
                assert_string_equal(run->tasks[1]->invalid_reason, "");
                assert_int_equal(json_array_size(fake.sent), 0);
        }
}

static void a_task_without_an_arn_is_left_out(void **state)
{
        (void)state;
        receive_quoted(PAYLOAD("p", TASK("", "") ",null," TASK("good", "")));
        fake_run();
        assert_int_equal(last_run()->n_tasks, 1);
        assert_string_equal(last_run()->tasks[0]->arn, "good");
        assert_int_equal(json_array_size(fake.sent), 0);
}

static void a_stop_needs_no_more_than_the_arn(void **state)
{
        (void)state;
        receive_quoted(PAYLOAD("p", "{'arn':'t','desiredStatus':'STOPPED'}"));
        fake_run();
        assert_int_equal(last_run()->tasks[0]->desired_status,
                         ECS__DESIRED_STATUS__DESIRED_STOPPED);
        assert_string_equal(last_run()->tasks[0]->invalid_reason, "");
        assert_string_equal(sent_type(0), "AckRequest");
}

static void payloads_of_one_task_keep_their_order(void **state)
{
        (void)state;
        receive_quoted(PAYLOAD("first", TASK("t", ",'roleCredentials':" CREDENTIALS("A"))));
        receive_quoted(PAYLOAD("second", "{'arn':'t','desiredStatus':'STOPPED'}"));
        receive_quoted(PAYLOAD("other", TASK("u", "")));
        assert_int_equal(fake.asked_count, 2); /* credentials, and the other task */
        assert_string_equal(last_run()->tasks[0]->arn, "u");
        fake_run();
        assert_int_equal(fake.asked_count, 4);
        assert_int_equal(fake.asked[2]->run_tasks->tasks[0]->desired_status,
                         ECS__DESIRED_STATUS__DESIRED_RUNNING);
        assert_int_equal(fake.asked[3]->run_tasks->tasks[0]->desired_status,
                         ECS__DESIRED_STATUS__DESIRED_STOPPED);
}

/* ---- credentials ---- */

#define REFRESH(MORE)                                                                              \
        "{'type':'IAMRoleCredentialsMessage','message':{'messageId':'r','taskArn':'t',"            \
        "'roleCredentials':" CREDENTIALS("A") MORE "}}"

static void refreshed_credentials_of_a_known_task_are_served_and_acknowledged(void **state)
{
        Ecs__TaskFacts known = ECS__TASK_FACTS__INIT, *tasks[] = {&known};
        known.arn = (char *)"t";
        (void)state;
        fake.tasks.n_tasks = 1;
        fake.tasks.tasks = tasks;
        receive_quoted(REFRESH(",'roleType':'TaskApplication'"));
        fake_run();
        assert_int_equal(fake.asked[1]->body_case, ECS__ENVELOPE__BODY_PUT_CREDENTIALS);
        assert_string_equal(sent_type(0), "IAMRoleCredentialsAckRequest");
        assert_string_equal(sent_text(0, "credentialsId"), "A");
}

/* B13 */
static void of_an_unknown_task_or_role_they_are_ignored(void **state)
{
        (void)state;
        receive_quoted(REFRESH(",'roleType':'TaskApplication'"));
        receive_quoted(REFRESH(",'roleType':'Other'"));
        receive_quoted(REFRESH(""));
        fake_run();
        assert_int_equal(fake.asked_count, 1);
        assert_int_equal(json_array_size(fake.sent), 0);
}

/* ---- manifests ---- */

static void a_manifest_that_cannot_be_stored_is_not_acknowledged(void **state)
{
        (void)state;
        fake.cannot_store = true;
        receive_quoted("{'type':'TaskManifestMessage','message':{'messageId':'m','timeline':7}}");
        fake_run();
        assert_int_equal(json_array_size(fake.sent), 0);
        assert_int_equal(fake.backend.sequence, 0);
        fake.cannot_store = false;
        receive_quoted("{'type':'TaskManifestMessage','message':{'messageId':'m','timeline':7}}");
        fake_run();
        assert_string_equal(sent_type(0), "AckRequest");
        assert_int_equal(fake.backend.sequence, 7);
}

/* ---- the task itself ---- */

static void a_task_is_read_whole(void **state)
{
        static const char text[] =
                "{'arn':'t','family':'f','version':'3','desiredStatus':'running','cpu':0.25,"
                "'memory':128,'networkMode':'bridge','containers':[{'name':'c','image':'i',"
                "'command':['a','b'],'entryPoint':[],'cpu':10,'memory':64,'essential':true,"
                "'environment':{'K':'v'},'portMappings':[{'containerPort':80}],'mountPoints':"
                "[{'sourceVolume':'v','containerPath':'/v','readOnly':true}],'dependsOn':"
                "[{'containerName':'d','condition':'START'}],'stopTimeout':7,'overrides':"
                "'{\\\\'command\\\\':[\\\\'z\\\\']}','dockerConfig':{'config':'{}','hostConfig':"
                "'{}','version':'1.18'}}],'volumes':[{'name':'v','host':{'sourcePath':'/s'}}]}";
        cleanup_free char *quoted = mem_strdup(text);
        bool mistyped = false;
        (void)state;
        for (char *p = quoted; *p != '\0'; p++)
                *p = *p == '\'' ? '"' : *p;
        for (char *p = quoted; (p = strstr(p, "\\\\")) != NULL; p++)
                memmove(p, p + 1, strlen(p));
        cleanup_json json_t *j = json_loads(quoted, 0, NULL);
        assert_non_null(j);
        Ecs__TaskSpec *t = payload_json_task(j, &mistyped);
        assert_false(mistyped);
        assert_string_equal(t->invalid_reason, "");
        assert_float_equal(t->cpu, 0.25, 0.0001);
        assert_int_equal(t->memory_mib, 128);
        const Ecs__ContainerSpec *c = t->containers[0];
        assert_true(c->has_command && c->has_entry_point && c->essential);
        assert_int_equal(c->n_command, 1);
        assert_string_equal(c->command[0], "z");
        assert_int_equal(c->n_entry_point, 0);
        assert_string_equal(c->environment[0]->value, "v");
        assert_string_equal(c->port_mappings[0]->protocol, "tcp");
        assert_true(c->mount_points[0]->read_only);
        assert_string_equal(c->depends_on[0]->condition, "START");
        assert_int_equal(c->stop_timeout_s, 7);
        assert_string_equal(t->volumes[0]->source_path, "/s");
        ecs__task_spec__free_unpacked(t, NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(unreadable_messages_are_as_if_never_sent),
                T(recognised_messages_without_an_answer_are_activity),
                T(members_are_found_in_any_case),
                T(a_payload_is_acknowledged_after_the_engine_has_it),
                T(an_engine_that_fails_gets_no_ack),
                T(an_empty_payload_is_acknowledged),
                T(credentials_are_served_first_and_acknowledged_one_by_one),
                T(credentials_the_engine_did_not_take_are_not_kept),
                T(a_bad_task_keeps_the_payload_from_being_acknowledged),
                T(a_task_without_an_arn_is_left_out),
                T(a_stop_needs_no_more_than_the_arn),
                T(payloads_of_one_task_keep_their_order),
                T(refreshed_credentials_of_a_known_task_are_served_and_acknowledged),
                T(of_an_unknown_task_or_role_they_are_ignored),
                T(a_manifest_that_cannot_be_stored_is_not_acknowledged),
                T(a_task_is_read_whole),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
