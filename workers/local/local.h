/* local: the control plane of one machine. Objects (clusters, task definitions, tasks, container
 * instances, services) are JSON in memory, as ECS describes them, and rows of local.db. Members
 * that begin with "x-" are ours and never shown. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "http_server.h"
#include "state_db.h"
#include "worker.h"

/* Their order is in the database: append. */
enum kind { K_CLUSTER, K_TASK_DEFINITION, K_TASK, K_INSTANCE, K_SERVICE, KINDS };

/* Own members of tasks … */
#define OWN_SERVICE "x-service"       /* ARN of the service it belongs to */
#define OWN_DEPLOYMENT "x-deployment" /* id of the deployment that started it */
#define OWN_TAKEN "x-taken"           /* what it takes of its instance: placement.h */
#define OWN_COUNTED "x-counted"       /* its end is known to its deployment */
/* … of tasks and services … */
#define OWN_TOKEN "x-token" /* clientToken */
/* … of container instances: attributes put by users. */
#define OWN_ATTRIBUTES "x-attributes"

/* ECS forgets stopped tasks, and what was deleted, after an hour. */
#define KEEP_S 3600

struct faults;
struct record;
struct scheduler;
struct session;

struct local {
        struct worker *worker;
        const struct log *log;
        const struct config *config;
        const char *region;
        struct state_db *db;
        json_t *objects[KINDS]; /* ARN → object, in order of creation */
        json_t *tasks_of;       /* ARN of cluster, instance or service → its tasks by ARN */
        bool store_touched;     /* the open transaction has a change */
        bool store_failed;      /* … that was not taken */
        json_t *outgoing;       /* ARNs of tasks to hand to agents once committed */
        struct http_server *server;
        struct session *sessions;
        struct faults *faults;
        struct record *record;
        struct scheduler *scheduler;
        uv_timer_t heartbeat;
        json_t *roles; /* credentials id → made credentials; memory only */
        bool stopping;
};

#define ACCOUNT "000000000000"

int local_start(struct worker *w, void **ret_state, struct error *err);
void local_stop(struct worker *w, void *state, uint32_t deadline_ms);
void local_destroy(void *state);

/* Brackets for whatever changes objects. What local_deliver was given between them is sent by
 * local_commit; false: nothing was stored, all changes are taken back and nothing is sent. */
void local_begin(struct local *l);
bool local_commit(struct local *l);
void local_abort(struct local *l);
/* The task's agent is told its desired status once all is committed. */
void local_deliver(struct local *l, const json_t *task);
/* Seconds since the epoch, as ECS writes times. */
double local_now(void);

/* ---- store.c ---- */
int store_open(struct local *l, struct error *err);
void store_close(struct local *l);
void store_begin(struct local *l);
/* false: everything was read again from the database; pointers to objects are void. */
bool store_commit(struct local *l);
/* Takes all changes since store_begin back; pointers to objects are void. */
void store_abort(struct local *l);
/* Borrowed, or NULL. */
json_t *store_find(struct local *l, enum kind k, const char *arn);
/* Tasks by ARN of a cluster, container instance or service; NULL when it has none. */
json_t *store_tasks_of(struct local *l, const char *owner_arn);
/* Takes object; stored at once. */
int store_put(struct local *l, enum kind k, const char *arn, json_t *object);
/* The object was changed in place. */
int store_changed(struct local *l, enum kind k, const char *arn);
int store_delete(struct local *l, enum kind k, const char *arn);
/* A shallow copy without the members that are ours. Owned. */
json_t *store_shown(const json_t *object);
char *store_arn(const struct local *l, const char *resource);

/* ---- operations ---- */

/* An answer: body owned (NULL = {}), or an error with code and text. */
struct answer {
        json_t *body;
        const char *code;
        char *text;
        int status;
        char given_code[64]; /* room for a code that is no literal */
};
/* Text is formatted. */
void answer_error(struct answer *a, const char *code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

enum caller { CALLER_USER = 1, CALLER_AGENT = 2 };
typedef void (*operation_fn)(struct local *l, const json_t *request, struct answer *a);
struct operation {
        const char *name;
        unsigned callers;
        operation_fn fn;
};
/* One operation, as a whole: checked, carried out, stored. body is its JSON text. */
void local_operate(struct local *l, const char *name, unsigned caller, const char *body,
                   size_t length, struct answer *a);
extern const struct operation operations[];
extern const size_t operation_count;

/* user_clusters.c */
void op_create_cluster(struct local *l, const json_t *q, struct answer *a);
void op_describe_clusters(struct local *l, const json_t *q, struct answer *a);
void op_list_clusters(struct local *l, const json_t *q, struct answer *a);
void op_delete_cluster(struct local *l, const json_t *q, struct answer *a);
/* user_instances.c */
void op_list_container_instances(struct local *l, const json_t *q, struct answer *a);
void op_describe_container_instances(struct local *l, const json_t *q, struct answer *a);
void op_update_container_instances_state(struct local *l, const json_t *q, struct answer *a);
void op_deregister_container_instance(struct local *l, const json_t *q, struct answer *a);
/* user_attributes.c */
void op_put_attributes(struct local *l, const json_t *q, struct answer *a);
void op_delete_attributes(struct local *l, const json_t *q, struct answer *a);
void op_list_attributes(struct local *l, const json_t *q, struct answer *a);
/* user_tags.c */
void op_tag_resource(struct local *l, const json_t *q, struct answer *a);
void op_untag_resource(struct local *l, const json_t *q, struct answer *a);
void op_list_tags_for_resource(struct local *l, const json_t *q, struct answer *a);
/* user_task_definitions.c */
void op_register_task_definition(struct local *l, const json_t *q, struct answer *a);
void op_describe_task_definition(struct local *l, const json_t *q, struct answer *a);
void op_list_task_definitions(struct local *l, const json_t *q, struct answer *a);
void op_list_task_definition_families(struct local *l, const json_t *q, struct answer *a);
void op_deregister_task_definition(struct local *l, const json_t *q, struct answer *a);
void op_delete_task_definitions(struct local *l, const json_t *q, struct answer *a);
/* user_run.c */
void op_run_task(struct local *l, const json_t *q, struct answer *a);
void op_start_task(struct local *l, const json_t *q, struct answer *a);
/* user_tasks.c */
void op_stop_task(struct local *l, const json_t *q, struct answer *a);
void op_describe_tasks(struct local *l, const json_t *q, struct answer *a);
void op_list_tasks(struct local *l, const json_t *q, struct answer *a);
/* user_services.c */
void op_create_service(struct local *l, const json_t *q, struct answer *a);
void op_update_service(struct local *l, const json_t *q, struct answer *a);
void op_delete_service(struct local *l, const json_t *q, struct answer *a);
void op_describe_services(struct local *l, const json_t *q, struct answer *a);
void op_list_services(struct local *l, const json_t *q, struct answer *a);
/* agent_operations.c */
void op_register_container_instance(struct local *l, const json_t *q, struct answer *a);
void op_discover_poll_endpoint(struct local *l, const json_t *q, struct answer *a);
void op_submit_task_state_change(struct local *l, const json_t *q, struct answer *a);
void op_submit_attachment_state_changes(struct local *l, const json_t *q, struct answer *a);

/* Resolves "name", ARN or absent (= default) to an ACTIVE cluster; error in a when there is none.
 */
json_t *find_cluster(struct local *l, const json_t *q, struct answer *a);
/* The ARN itself, or that of KIND/CLUSTER/NAME. Owned. */
char *arn_in_cluster(struct local *l, const char *kind, const json_t *cluster, const char *name);
/* By family, family:revision or ARN, whatever its status; a family means its latest ACTIVE
 * revision. */
json_t *find_task_definition(struct local *l, const char *name);
/* The member, or "". */
const char *text_of(const json_t *o, const char *key);
json_int_t integer_of(const json_t *o, const char *key, json_int_t fallback);
bool has_text(const json_t *o, const char *key, const char *text);
/* Where in a list of objects the first one is whose member is this text; the list's size when there
 * is none. */
size_t index_of(const json_t *list, const char *member, const char *text);
/* The entry of a list whose "name" that is, borrowed; NULL when there is none. */
json_t *find_named(const json_t *list, const char *name);
/* Whether the request's `include` has the word. */
bool includes(const json_t *q, const char *word);
/* {arn, reason, detail?} at the end of failures. */
void add_failure(json_t *failures, const char *arn, const char *reason, const char *detail);
/* Puts tags of `from` (may be NULL) into the list `to`; a key that is there keeps its place. */
void merge_tags(json_t *to, const json_t *from);
/* Keys, values and number of the request's tags are those ECS takes. */
bool check_tags(const json_t *tags, struct answer *a);

/* ---- task_payload.c ---- */
/* The ACS form of a task. Owned. Gives the task the ids of its credentials: store it. */
json_t *task_payload(struct local *l, json_t *task, const char *desired_status);

/* ---- acs_server.c ---- */
/* GET /ws, already authenticated. */
void acs_accept(struct local *l, struct http_exchange *x);
/* Sends the task to its instance's session, if there is one. */
void acs_deliver(struct local *l, const json_t *task, const char *desired_status);
void acs_heartbeat(struct local *l);
/* Ends every session of the instance; it may connect again while it is registered. */
void acs_disconnect(struct local *l, const char *instance_arn);
void acs_close_all(struct local *l);
/* session.c: a message came; the session has ended. */
void acs_received(struct session *s, const char *text, size_t length);
void acs_ended(struct session *s);
/* New credentials for a task ("*": every task that has some), sent to its agent. How many. */
unsigned acs_renew_credentials(struct local *l, const char *task_arn, int64_t until_ms);

/* ---- fault_ipc.c ---- */
extern const struct ipc_handler local_handlers[IPC_BODY_MAX];
/* call_ipc.c */
void handle_local_call(void *context, struct ipc_request *r, const Ecs__Envelope *m);

extern const struct worker_spec local_spec;
