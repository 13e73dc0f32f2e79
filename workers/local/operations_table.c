/* operations_table: every operation, and whose keys may call it. */
#include "local.h"

const struct operation operations[] = {
        {"CreateCluster", CALLER_USER | CALLER_AGENT, op_create_cluster},
        {"DescribeClusters", CALLER_USER, op_describe_clusters},
        {"ListClusters", CALLER_USER, op_list_clusters},
        {"RegisterTaskDefinition", CALLER_USER, op_register_task_definition},
        {"DescribeTaskDefinition", CALLER_USER, op_describe_task_definition},
        {"ListTaskDefinitions", CALLER_USER, op_list_task_definitions},
        {"RunTask", CALLER_USER, op_run_task},
        {"StopTask", CALLER_USER, op_stop_task},
        {"DescribeTasks", CALLER_USER, op_describe_tasks},
        {"ListTasks", CALLER_USER, op_list_tasks},
        {"ListContainerInstances", CALLER_USER, op_list_container_instances},
        {"DescribeContainerInstances", CALLER_USER, op_describe_container_instances},
        {"RegisterContainerInstance", CALLER_AGENT, op_register_container_instance},
        {"DiscoverPollEndpoint", CALLER_AGENT, op_discover_poll_endpoint},
        {"SubmitTaskStateChange", CALLER_AGENT, op_submit_task_state_change},
        {"SubmitAttachmentStateChanges", CALLER_AGENT, op_submit_attachment_state_changes},
        {"ListTagsForResource", CALLER_USER | CALLER_AGENT, op_list_tags_for_resource},
};
const size_t operation_count = sizeof operations / sizeof operations[0];
