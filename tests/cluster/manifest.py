# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes manifest has the form that the MPI operator takes (kubeflow.org/v2beta1) and agrees with itself. Needs PyYAML.

Fields as in the operator's own description of an MPIJob: github.com/kubeflow/mpi-operator, manifests/base/kubeflow.org_mpijobs.yaml.
"""
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import harness

SPEC = {"slotsPerWorker", "runPolicy", "mpiReplicaSpecs", "sshAuthMountPath", "launcherCreationPolicy", "mpiImplementation", "runLauncherAsWorker"}
RUN_POLICY = {"cleanPodPolicy", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit", "schedulingPolicy", "suspend", "managedBy"}
REPLICA = {"replicas", "restartPolicy", "template"}
POD = {"containers", "volumes", "terminationGracePeriodSeconds", "nodeSelector", "tolerations", "serviceAccountName"}
CONTAINER = {"name", "image", "command", "args", "env", "resources", "volumeMounts"}


def main():
    report = harness.Report()
    [job] = yaml.safe_load_all((HERE.parent.parent / "launch" / "cluster" / "mpijob.yaml").read_text())
    report.check(job["apiVersion"] == "kubeflow.org/v2beta1" and job["kind"] == "MPIJob", "an MPIJob of the operator's second version")
    report.check(set(job) == {"apiVersion", "kind", "metadata", "spec"} and job["metadata"]["name"], "the four parts of an object")
    spec = job["spec"]
    report.check(set(spec) <= SPEC and set(spec["runPolicy"]) <= RUN_POLICY, "only known fields")
    report.check(set(spec["mpiReplicaSpecs"]) == {"Launcher", "Worker"}, "a launcher and workers")
    for name, replica in spec["mpiReplicaSpecs"].items():
        report.check(set(replica) <= REPLICA, f"{name}: only known fields")
        pod = replica["template"]["spec"]
        report.check(set(pod) <= POD, f"{name}: only known fields of a pod: {set(pod)}")
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            report.check(set(container) <= CONTAINER, f"{name}: only known fields of a container")
            for mount in container["volumeMounts"]:
                report.check(mount["name"] in volumes and mount["mountPath"].startswith("/"), f"{name}: {mount} has a volume")
            for variable in container.get("env", []):
                report.check(isinstance(variable["value"], str), f"{name}: {variable['name']} must be text")
    launcher = spec["mpiReplicaSpecs"]["Launcher"]
    worker = spec["mpiReplicaSpecs"]["Worker"]
    container = launcher["template"]["spec"]["containers"][0]
    report.check(launcher["replicas"] == 1 and launcher["restartPolicy"] == "OnFailure", "one launcher, started again after a failure")
    report.check(int(container["args"][1]) == spec["slotsPerWorker"] * worker["replicas"], "as many ranks as slots")
    script = pathlib.PurePosixPath(container["command"][0])
    report.check((HERE.parent.parent / "launch" / "cluster" / script.name).exists(), "the launch file exists")
    mounts = {mount["mountPath"] for mount in worker["template"]["spec"]["containers"][0]["volumeMounts"]}
    report.check("/dev/shm" in mounts, "workers have room for shared memory")
    report.end()


main()
