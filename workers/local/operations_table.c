/* operations_table: every operation, and whose keys may call it. */
#include "local.h"

/* clang-format off */
const struct operation operations[] = {
        {"CreateCluster", CALLER_USER | CALLER_AGENT, op_create_cluster},
        {"DescribeClusters", CALLER_USER, op_describe_clusters},
        {"ListClusters", CALLER_USER, op_list_clusters},
        {"DeleteCluster", CALLER_USER, op_delete_cluster},
        {"RegisterTaskDefinition", CALLER_USER, op_register_task_definition},
        {"DescribeTaskDefinition", CALLER_USER, op_describe_task_definition},
        {"ListTaskDefinitions", CALLER_USER, op_list_task_definitions},
        {"ListTaskDefinitionFamilies", CALLER_USER, op_list_task_definition_families},
        {"DeregisterTaskDefinition", CALLER_USER, op_deregister_task_definition},
        {"DeleteTaskDefinitions", CALLER_USER, op_delete_task_definitions},
        {"RunTask", CALLER_USER, op_run_task},
        {"StartTask", CALLER_USER, op_start_task},
        {"StopTask", CALLER_USER, op_stop_task},
        {"DescribeTasks", CALLER_USER, op_describe_tasks},
        {"ListTasks", CALLER_USER, op_list_tasks},
        {"CreateService", CALLER_USER, op_create_service},
        {"UpdateService", CALLER_USER, op_update_service},
        {"DeleteService", CALLER_USER, op_delete_service},
        {"DescribeServices", CALLER_USER, op_describe_services},
        {"ListServices", CALLER_USER, op_list_services},
        {"ListContainerInstances", CALLER_USER, op_list_container_instances},
        {"DescribeContainerInstances", CALLER_USER, op_describe_container_instances},
        {"UpdateContainerInstancesState", CALLER_USER, op_update_container_instances_state},
        {"DeregisterContainerInstance", CALLER_USER, op_deregister_container_instance},
        {"PutAttributes", CALLER_USER, op_put_attributes},
        {"DeleteAttributes", CALLER_USER, op_delete_attributes},
        {"ListAttributes", CALLER_USER, op_list_attributes},
        {"TagResource", CALLER_USER, op_tag_resource},
        {"UntagResource", CALLER_USER, op_untag_resource},
        {"ListTagsForResource", CALLER_USER | CALLER_AGENT, op_list_tags_for_resource},
        {"RegisterContainerInstance", CALLER_AGENT, op_register_container_instance},
        {"DiscoverPollEndpoint", CALLER_AGENT, op_discover_poll_endpoint},
        {"SubmitTaskStateChange", CALLER_AGENT, op_submit_task_state_change},
        {"SubmitAttachmentStateChanges", CALLER_AGENT, op_submit_attachment_state_changes},
};
/* clang-format on */
const size_t operation_count = sizeof operations / sizeof operations[0];
