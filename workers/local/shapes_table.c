/* shapes_table: the requests of the ECS API (2014-11-13), one shape a row, read by validate.c.
 *
 *   member[!]:[-]type[<n]    ! required, - known but not supported here, <n at most n entries
 *   types                    s string, i integer, l long, u long from 0, b boolean,
 *                            d number, f number from 0, [T list, {T map, @E enum,
 *                            else the name of a shape
 *   "@Enum"                  its values; those behind - are known but not supported here
 */
#include "validate.h"

/* clang-format off */
const struct shape shapes[] = {
        /* clusters and container instances */
        {"CreateCluster",
         "clusterName:s tags:[Tag<50 settings:[KeyValue configuration:-? capacityProviders:-? "
         "defaultCapacityProviderStrategy:-? serviceConnectDefaults:-?"},
        {"DescribeClusters", "clusters:[s<100 include:[@ClusterField"},
        {"ListClusters", "nextToken:s maxResults:i"},
        {"DeleteCluster", "cluster!:s"},
        {"ListContainerInstances",
         "cluster:s filter:s nextToken:s maxResults:i status:@ContainerInstanceStatus"},
        {"DescribeContainerInstances",
         "cluster:s containerInstances!:[s<100 include:[@ContainerInstanceField"},
        {"UpdateContainerInstancesState",
         "cluster:s containerInstances!:[s<10 status!:@ContainerInstanceStatus"},
        {"DeregisterContainerInstance", "cluster:s containerInstance!:s force:b"},
        /* attributes and tags */
        {"PutAttributes", "cluster:s attributes!:[Attribute<10"},
        {"DeleteAttributes", "cluster:s attributes!:[Attribute<10"},
        {"ListAttributes",
         "cluster:s targetType!:@TargetType attributeName:s attributeValue:s nextToken:s "
         "maxResults:i"},
        {"TagResource", "resourceArn!:s tags!:[Tag<50"},
        {"UntagResource", "resourceArn!:s tagKeys!:[s<50"},
        {"ListTagsForResource", "resourceArn!:s"},
        /* task definitions */
        {"RegisterTaskDefinition",
         "family!:s taskRoleArn:s executionRoleArn:s networkMode:@NetworkMode "
         "containerDefinitions!:[ContainerDefinition<10 volumes:[Volume "
         "placementConstraints:[TaskDefinitionPlacementConstraint<10 "
         "requiresCompatibilities:[@Compatibility cpu:s memory:s tags:[Tag<50 pidMode:@PidMode "
         "ipcMode:@IpcMode proxyConfiguration:-? inferenceAccelerators:-? ephemeralStorage:-? "
         "runtimePlatform:RuntimePlatform enableFaultInjection:b"},
        {"DescribeTaskDefinition", "taskDefinition!:s include:[@TagsField"},
        {"ListTaskDefinitions",
         "familyPrefix:s status:@TaskDefinitionStatus sort:@SortOrder nextToken:s maxResults:i"},
        {"ListTaskDefinitionFamilies",
         "familyPrefix:s status:@FamilyStatus nextToken:s maxResults:i"},
        {"DeregisterTaskDefinition", "taskDefinition!:s"},
        {"DeleteTaskDefinitions", "taskDefinitions!:[s<10"},
        /* tasks */
        {"RunTask",
         "capacityProviderStrategy:-? cluster:s count:i enableECSManagedTags:b "
         "enableExecuteCommand:-b group:s launchType:@LaunchType networkConfiguration:-? "
         "overrides:TaskOverride placementConstraints:[PlacementConstraint<10 "
         "placementStrategy:[PlacementStrategy<5 platformVersion:-s propagateTags:@PropagateTags "
         "referenceId:s startedBy:s tags:[Tag<50 taskDefinition!:s clientToken:s "
         "volumeConfigurations:-?"},
        {"StartTask",
         "cluster:s containerInstances!:[s<10 enableECSManagedTags:b enableExecuteCommand:-b "
         "group:s networkConfiguration:-? overrides:TaskOverride propagateTags:@PropagateTags "
         "referenceId:s startedBy:s tags:[Tag<50 taskDefinition!:s volumeConfigurations:-?"},
        {"StopTask", "cluster:s task!:s reason:s"},
        {"DescribeTasks", "cluster:s tasks!:[s<100 include:[@TagsField"},
        {"ListTasks",
         "cluster:s containerInstance:s family:s nextToken:s maxResults:i startedBy:s "
         "serviceName:s desiredStatus:@DesiredStatus launchType:@AnyLaunchType daemonName:-s"},
        /* services */
        {"CreateService",
         "cluster:s serviceName!:s taskDefinition:s availabilityZoneRebalancing:@Switch "
         "loadBalancers:-? serviceRegistries:-? desiredCount:i clientToken:s "
         "launchType:@LaunchType capacityProviderStrategy:-? platformVersion:-s role:-s "
         "deploymentConfiguration:DeploymentConfiguration "
         "placementConstraints:[PlacementConstraint<10 placementStrategy:[PlacementStrategy<5 "
         "networkConfiguration:-? healthCheckGracePeriodSeconds:i "
         "schedulingStrategy:@SchedulingStrategy deploymentController:DeploymentController "
         "tags:[Tag<50 enableECSManagedTags:b propagateTags:@PropagateTags "
         "enableExecuteCommand:-b serviceConnectConfiguration:-? volumeConfigurations:-? "
         "vpcLatticeConfigurations:-?"},
        {"UpdateService",
         "cluster:s service!:s desiredCount:i taskDefinition:s capacityProviderStrategy:-? "
         "deploymentConfiguration:DeploymentConfiguration availabilityZoneRebalancing:@Switch "
         "networkConfiguration:-? placementConstraints:[PlacementConstraint<10 "
         "placementStrategy:[PlacementStrategy<5 platformVersion:-s forceNewDeployment:b "
         "healthCheckGracePeriodSeconds:i deploymentController:DeploymentController "
         "enableExecuteCommand:-b enableECSManagedTags:b loadBalancers:-? "
         "propagateTags:@PropagateTags serviceRegistries:-? serviceConnectConfiguration:-? "
         "volumeConfigurations:-? vpcLatticeConfigurations:-?"},
        {"DeleteService", "cluster:s service!:s force:b"},
        {"DescribeServices", "cluster:s services!:[s<10 include:[@TagsField"},
        {"ListServices",
         "cluster:s nextToken:s maxResults:i launchType:@AnyLaunchType "
         "schedulingStrategy:@AnySchedulingStrategy resourceManagementType:@ResourceManagement"},

        /* what agents call */
        {"RegisterContainerInstance",
         "cluster:s instanceIdentityDocument:s instanceIdentityDocumentSignature:s "
         "totalResources!:[Resource versionInfo:VersionInfo containerInstanceArn:s "
         "attributes:[Attribute platformDevices:[PlatformDevice tags:[Tag<50 clientToken:s"},
        {"DiscoverPollEndpoint", "containerInstance!:s cluster:s zoneId:s"},
        {"SubmitTaskStateChange",
         "cluster:s task!:s status:@ChangeStatus reason:s containers:[ContainerStateChange "
         "attachments:[AttachmentStateChange managedAgents:[ManagedAgentStateChange "
         "pullStartedAt:d pullStoppedAt:d executionStoppedAt:d"},
        {"SubmitAttachmentStateChanges", "cluster:s attachments!:[AttachmentStateChange"},

        /* what agents say on TCS */
        {"PublishMetricsRequest",
         "metadata!:MetricsMetadata instanceMetrics:InstanceMetrics taskMetrics:[TaskMetric "
         "timestamp!:d"},
        {"PublishHealthRequest", "metadata!:HealthMetadata tasks:[TaskHealth timestamp!:d"},
        {"PublishInstanceStatusRequest",
         "metadata!:InstanceStatusMetadata statuses:[InstanceStatus timestamp!:d"},

        /* what they are made of */
        {"Tag", "key:s value:s"},
        {"KeyValue", "name:s value:s"},
        {"Attribute", "name!:s value:s targetType:@TargetType targetId:s"},
        {"ContainerDefinition",
         "name!:s image!:s repositoryCredentials:RepositoryCredentials cpu:i memory:i "
         "memoryReservation:i links:[s portMappings:[PortMapping essential:b "
         "restartPolicy:RestartPolicy entryPoint:[s command:[s environment:[KeyValue "
         "environmentFiles:[EnvironmentFile<10 mountPoints:[MountPoint volumesFrom:[VolumeFrom "
         "linuxParameters:LinuxParameters secrets:[Secret dependsOn:[Dependency startTimeout:i "
         "stopTimeout:i versionConsistency:@VersionConsistency hostname:s user:s "
         "workingDirectory:s disableNetworking:b privileged:b readonlyRootFilesystem:b "
         "dnsServers:[s dnsSearchDomains:[s extraHosts:[HostEntry dockerSecurityOptions:[s "
         "interactive:b pseudoTerminal:b dockerLabels:{s ulimits:[Ulimit "
         "logConfiguration:LogConfiguration healthCheck:HealthCheck "
         "systemControls:[SystemControl resourceRequirements:[ResourceRequirement "
         "firelensConfiguration:Firelens credentialSpecs:[s"},
        {"RepositoryCredentials", "credentialsParameter!:s"},
        {"PortMapping",
         "containerPort:i hostPort:i protocol:@Protocol name:s appProtocol:@ApplicationProtocol "
         "containerPortRange:s"},
        {"RestartPolicy", "enabled!:b ignoredExitCodes:[i<50 restartAttemptPeriod:i"},
        {"EnvironmentFile", "value!:s type!:@EnvironmentFileType"},
        {"MountPoint", "sourceVolume:s containerPath:s readOnly:b"},
        {"VolumeFrom", "sourceContainer:s readOnly:b"},
        {"LinuxParameters",
         "capabilities:Capabilities devices:[Device initProcessEnabled:b sharedMemorySize:i "
         "tmpfs:[Tmpfs maxSwap:i swappiness:i"},
        {"Capabilities", "add:[s drop:[s"},
        {"Device", "hostPath!:s containerPath:s permissions:[@DevicePermission"},
        {"Tmpfs", "containerPath!:s size!:i mountOptions:[s"},
        {"Secret", "name!:s valueFrom!:s"},
        {"Dependency", "containerName!:s condition!:@Condition"},
        {"HostEntry", "hostname!:s ipAddress!:s"},
        {"Ulimit", "name!:@UlimitName softLimit!:i hardLimit!:i"},
        {"LogConfiguration", "logDriver!:@LogDriver options:{s secretOptions:[Secret"},
        {"HealthCheck", "command!:[s interval:i timeout:i retries:i startPeriod:i"},
        {"SystemControl", "namespace:s value:s"},
        {"ResourceRequirement", "value!:s type!:@ResourceType"},
        {"Firelens", "type!:@FirelensType options:{s"},
        {"Volume",
         "name:s host:HostVolume dockerVolumeConfiguration:DockerVolume "
         "efsVolumeConfiguration:EfsVolume s3filesVolumeConfiguration:-? "
         "fsxWindowsFileServerVolumeConfiguration:-? configuredAtLaunch:-b"},
        {"HostVolume", "sourcePath:s"},
        {"DockerVolume", "scope:@Scope autoprovision:b driver:s driverOpts:{s labels:{s"},
        {"EfsVolume",
         "fileSystemId!:s rootDirectory:s transitEncryption:@Switch transitEncryptionPort:i "
         "authorizationConfig:EfsAuthorization"},
        {"EfsAuthorization", "accessPointId:s iam:@Switch"},
        {"TaskDefinitionPlacementConstraint", "type!:@MemberOf expression:s"},
        {"RuntimePlatform", "cpuArchitecture:@Architecture operatingSystemFamily:@OSFamily"},
        {"TaskOverride",
         "containerOverrides:[ContainerOverride cpu:s inferenceAcceleratorOverrides:-? "
         "executionRoleArn:s memory:s taskRoleArn:s ephemeralStorage:-?"},
        {"ContainerOverride",
         "name!:s command:[s environment:[KeyValue environmentFiles:[EnvironmentFile<10 cpu:i "
         "memory:i memoryReservation:i resourceRequirements:[ResourceRequirement"},
        {"PlacementConstraint", "type!:@PlacementConstraintType expression:s"},
        {"PlacementStrategy", "type!:@PlacementStrategyType field:s"},
        {"DeploymentConfiguration",
         "deploymentCircuitBreaker:CircuitBreaker maximumPercent:i minimumHealthyPercent:i "
         "alarms:-? strategy:@DeploymentStrategy bakeTimeInMinutes:-i lifecycleHooks:-? "
         "linearConfiguration:-? canaryConfiguration:-?"},
        {"CircuitBreaker", "enable!:b rollback!:b"},
        {"DeploymentController", "type!:@ControllerType"},

        {"Resource",
         "name!:s type!:s doubleValue:d longValue:l integerValue:i stringSetValue:[s"},
        {"VersionInfo", "agentVersion:s agentHash:s dockerVersion:s"},
        {"PlatformDevice", "id!:s type!:@PlatformDeviceType"},
        {"ContainerStateChange",
         "containerName!:s imageDigest:s runtimeId:s exitCode:i networkBindings:[NetworkBinding "
         "reason:s status:@ChangeStatus"},
        {"NetworkBinding",
         "bindIP:s containerPort:i hostPort:i protocol:@Protocol containerPortRange:s "
         "hostPortRange:s"},
        {"AttachmentStateChange", "attachmentArn!:s status!:s"},
        {"ManagedAgentStateChange",
         "containerName!:s managedAgentName!:@ManagedAgentName status!:s reason:s"},
        {"MetricsMetadata", "cluster!:s containerInstance!:s messageId!:s idle:b fin:b"},
        {"InstanceMetrics", "storage:InstanceStorage generalMetricsPayload:[GeneralMetrics"},
        {"InstanceStorage", "rootFilesystem:f dataFilesystem:f"},
        {"GeneralMetrics",
         "dimensions:[Dimension metricType:@MetricType generalMetrics:[GeneralMetric"},
        {"Dimension", "key:s value:s"},
        {"GeneralMetric",
         "metricName:s metricValues:[d metricCounts:[l metricValueDouble:f metricValueLong:u "
         "metricValueStatsSet:StatsSet unit:s"},
        {"StatsSet", "min:d max:d sampleCount:u sum:d"},
        {"RateStatsSet", "min!:f max!:f sampleCount!:u sum!:f"},
        {"CountStatsSet",
         "min!:u max!:u sampleCount!:u sum!:u overflowMin:u overflowMax:u overflowSum:u"},
        {"TaskMetric",
         "taskArn:s clusterArn:s taskDefinitionFamily:s taskDefinitionVersion:s "
         "containerMetrics:[ContainerMetric ephemeralStorageMetrics:EphemeralStorage "
         "volumeMetrics:[VolumeMetric serviceConnectMetricsWrapper:[GeneralMetrics"},
        {"ContainerMetric",
         "containerArn:s containerName:s cpuStatsSet:StatsSet memoryStatsSet:StatsSet "
         "networkStatsSet:NetworkStats storageStatsSet:StorageStats restartStatsSet:RestartStats "
         "generalMetricsPayload:[GeneralMetrics"},
        {"NetworkStats",
         "rxBytesPerSecond:RateStatsSet rxBytes:CountStatsSet rxDropped:CountStatsSet "
         "rxErrors:CountStatsSet rxPackets:CountStatsSet txBytesPerSecond:RateStatsSet "
         "txBytes:CountStatsSet txDropped:CountStatsSet txErrors:CountStatsSet "
         "txPackets:CountStatsSet"},
        {"StorageStats", "readSizeBytes:CountStatsSet writeSizeBytes:CountStatsSet"},
        {"RestartStats", "restartCount:u"},
        {"EphemeralStorage", "bytesUtilized:CountStatsSet"},
        {"VolumeMetric", "volumeId:s volumeName:s utilized:RateStatsSet size:RateStatsSet"},
        {"HealthMetadata", "cluster!:s containerInstance!:s messageId!:s fin:b"},
        {"TaskHealth",
         "taskArn:s clusterArn:s taskDefinitionFamily:s taskDefinitionVersion:s "
         "containers:[ContainerHealth"},
        {"ContainerHealth",
         "containerName:s healthStatus:@HealthStatus statusSince:d statusMessage:s"},
        {"InstanceStatusMetadata", "cluster!:s containerInstance!:s requestId!:s"},
        {"InstanceStatus",
         "type:s status:@InstanceHealth statusReason:s lastUpdated:d lastStatusChange:d"},

        {"@ChangeStatus", "PENDING RUNNING STOPPED"},
        {"@PlatformDeviceType", "GPU NEURON_DEVICE"},
        {"@ManagedAgentName", "ExecuteCommandAgent"},
        {"@MetricType", "1 2"},
        {"@HealthStatus", "HEALTHY UNHEALTHY UNKNOWN"},
        {"@InstanceHealth", "OK IMPAIRED INSUFFICIENT_DATA INITIALIZING"},
        {"@ClusterField", "ATTACHMENTS CONFIGURATIONS SETTINGS STATISTICS TAGS"},
        {"@ContainerInstanceField", "TAGS CONTAINER_INSTANCE_HEALTH"},
        {"@ContainerInstanceStatus",
         "ACTIVE DRAINING REGISTERING DEREGISTERING REGISTRATION_FAILED"},
        {"@TagsField", "TAGS"},
        {"@TargetType", "container-instance"},
        {"@NetworkMode", "bridge host none -awsvpc"},
        {"@Compatibility", "EC2 -FARGATE EXTERNAL -MANAGED_INSTANCES"},
        {"@PidMode", "host task"},
        {"@IpcMode", "host task none"},
        {"@Architecture", "X86_64 ARM64"},
        {"@OSFamily",
         "LINUX -WINDOWS_SERVER_2019_FULL -WINDOWS_SERVER_2019_CORE -WINDOWS_SERVER_2016_FULL "
         "-WINDOWS_SERVER_2004_CORE -WINDOWS_SERVER_2022_CORE -WINDOWS_SERVER_2022_FULL "
         "-WINDOWS_SERVER_2025_CORE -WINDOWS_SERVER_2025_FULL -WINDOWS_SERVER_20H2_CORE"},
        {"@TaskDefinitionStatus", "ACTIVE INACTIVE DELETE_IN_PROGRESS"},
        {"@FamilyStatus", "ACTIVE INACTIVE ALL"},
        {"@SortOrder", "ASC DESC"},
        {"@LaunchType", "EC2 -FARGATE -EXTERNAL -MANAGED_INSTANCES"},
        {"@AnyLaunchType", "EC2 FARGATE EXTERNAL MANAGED_INSTANCES"},
        {"@PropagateTags", "TASK_DEFINITION SERVICE NONE"},
        {"@DesiredStatus", "RUNNING PENDING STOPPED"},
        {"@SchedulingStrategy", "REPLICA -DAEMON"},
        {"@AnySchedulingStrategy", "REPLICA DAEMON"},
        {"@ResourceManagement", "CUSTOMER ECS"},
        {"@Switch", "ENABLED DISABLED"},
        {"@Protocol", "tcp udp"},
        {"@ApplicationProtocol", "http http2 grpc"},
        {"@EnvironmentFileType", "s3"},
        {"@DevicePermission", "read write mknod"},
        {"@Condition", "START COMPLETE SUCCESS HEALTHY"},
        {"@VersionConsistency", "enabled disabled"},
        {"@UlimitName",
         "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime "
         "sigpending stack"},
        {"@LogDriver", "json-file syslog journald gelf fluentd awslogs splunk awsfirelens"},
        {"@ResourceType", "GPU -InferenceAccelerator"},
        {"@FirelensType", "fluentd fluentbit"},
        {"@Scope", "task shared"},
        {"@MemberOf", "memberOf"},
        {"@PlacementConstraintType", "distinctInstance memberOf"},
        {"@PlacementStrategyType", "random spread binpack"},
        {"@DeploymentStrategy", "ROLLING -BLUE_GREEN -LINEAR -CANARY"},
        {"@ControllerType", "ECS -CODE_DEPLOY -EXTERNAL"},
};
/* clang-format on */
const size_t shape_count = sizeof shapes / sizeof shapes[0];
