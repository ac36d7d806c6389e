# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes manifests: that what they name is there, and that no field is misspelt."""
import ipaddress
import json
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from checking import DEPLOY, library, run, seconds, settings, tool

FOLDER = DEPLOY / "kubernetes"
#: Secrets that README.md has people make.
SECRETS = {"claviger-tls", "claviger-cluster", "claviger-pins", "claviger-kms"}


def paths(value, prefix=()):
    """Every leaf of a document, as its path."""
    if isinstance(value, dict):
        return {path for key, below in value.items() for path in paths(below, (*prefix, key))} or {prefix}
    if isinstance(value, list):
        return {path for index, below in enumerate(value) for path in paths(below, (*prefix, index))} or {prefix}
    return {prefix}


class Kubernetes(unittest.TestCase):
    def setUp(self):
        self.yaml = library("yaml")
        self.kustomization = self.yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
        self.objects = {}
        for name in self.kustomization["resources"]:
            for document in self.yaml.safe_load_all((FOLDER / name).read_text()):
                self.objects[document["kind"], document["metadata"]["name"]] = document
        self.set = self.objects["StatefulSet", "claviger"]["spec"]
        self.pod = self.set["template"]["spec"]
        [self.node] = self.pod["containers"]
        [self.template] = self.pod["initContainers"]
        self.ports = {port["name"]: port["containerPort"] for port in self.node["ports"]}

    def test_every_manifest_is_applied(self):
        listed = set(self.kustomization["resources"]) | {"kustomization.yaml"}
        self.assertEqual({path.name for path in FOLDER.glob("*.yaml")}, listed)

    def test_selectors_find_the_pods(self):
        labels = self.set["template"]["metadata"]["labels"]
        selectors = [
            self.set["selector"]["matchLabels"],
            self.objects["Service", "claviger-nodes"]["spec"]["selector"],
            self.objects["Service", "claviger-xks"]["spec"]["selector"],
            self.objects["PodDisruptionBudget", "claviger"]["spec"]["selector"]["matchLabels"],
            self.objects["NetworkPolicy", "claviger"]["spec"]["podSelector"]["matchLabels"],
        ] + [constraint["labelSelector"]["matchLabels"] for constraint in self.pod["topologySpreadConstraints"]]
        for selector in selectors:
            self.assertTrue(selector and selector.items() <= labels.items(), selector)

    def test_ports_have_names_that_exist(self):
        for kind, name in self.objects:
            spec = self.objects[kind, name].get("spec", {})
            if kind == "Service":
                for port in spec["ports"]:
                    self.assertIn(port["targetPort"], self.ports)
            if kind == "NetworkPolicy":
                allowed = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
                self.assertEqual(allowed, set(self.ports))
                for rule in spec["ingress"]:
                    for peer in rule["from"]:
                        ipaddress.ip_network(peer.get("ipBlock", {}).get("cidr", "10.0.0.0/8"))
        probes = {"livenessProbe": "/livez", "startupProbe": "/livez", "readinessProbe": "/readyz"}
        for probe, path in probes.items():
            self.assertEqual(self.node[probe]["httpGet"], {"path": path, "port": "control"})
        annotations = self.objects["Service", "claviger-xks"]["metadata"]["annotations"]
        prefix = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-"
        self.assertEqual(annotations[prefix + "port"], str(self.ports["control"]))
        self.assertEqual(annotations[prefix + "path"], "/readyz")

    def test_volumes_exist_and_are_used(self):
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        claims = {claim["metadata"]["name"] for claim in self.set["volumeClaimTemplates"]}
        mounted = {mount["name"] for container in (self.node, self.template) for mount in container["volumeMounts"]}
        self.assertEqual(mounted, set(volumes) | claims)
        self.assertEqual(volumes["template"]["configMap"]["name"], self.kustomization["configMapGenerator"][0]["name"])
        self.assertEqual({v["secret"]["secretName"] for v in volumes.values() if "secret" in v}, SECRETS)
        readme = (FOLDER / "README.md").read_text()
        for secret in SECRETS:
            self.assertRegex(readme, rf"create secret \w+ {secret} ")
        for volume in volumes.values():
            # Nothing for all the world: the node refuses such a secret.
            self.assertEqual(volume.get("secret", {}).get("defaultMode", 0) & 0o007, 0)

    def test_the_configuration_names_what_is_mounted(self):
        text = self.rendered()
        mounts = {mount["mountPath"]: mount for mount in self.node["volumeMounts"]}
        named = re.findall(r'= "(/(?:etc|var|run)/[^"]+)"', re.sub(r"(?m)^#.*", "", text))
        self.assertGreater(len(named), 7)
        for path in named:
            self.assertTrue(any(path.startswith(mount + "/") for mount in mounts), path)
        config = self.node["args"][self.node["args"].index("--config") + 1]
        self.assertIn(str(Path(config).parent), mounts)
        self.assertFalse(mounts["/var/lib/claviger"].get("readOnly", False))

    def rendered(self) -> str:
        """The configuration as the pod claviger-0 gets it: by the very command of the init container."""
        self.assertEqual(self.template["env"][0]["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name")
        [source] = [m["mountPath"] for m in self.template["volumeMounts"] if m["name"] == "template"]
        [target] = [m["mountPath"] for m in self.template["volumeMounts"] if m["name"] == "configuration"]
        with tempfile.TemporaryDirectory() as scratch:
            command = [
                word.replace("$(POD_NAME)", "claviger-0").replace(source, str(FOLDER)).replace(target, scratch)
                for word in self.template["command"]
            ]
            subprocess.run(command, check=True, timeout=60)
            config = Path(self.node["args"][-1])
            self.assertEqual(str(config.parent), target)
            return (Path(scratch) / config.name).read_text()

    def test_the_configuration_fits_the_services(self):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "claviger.toml"
            path.write_text(self.rendered())
            config = settings(path)
        self.assertNotIn("@", str(config))
        for table in self.ports:
            self.assertEqual(config[table]["listen"], f"0.0.0.0:{self.ports[table]}")
        service = f"{self.set['serviceName']}.{self.kustomization['namespace']}.svc.cluster.local"
        self.assertEqual(config["cluster"]["seeds"], [f"{service}:7443"])
        self.assertEqual(config["cluster"]["advertise"], f"claviger-0.{service}:7443")
        headless = self.objects["Service", self.set["serviceName"]]["spec"]
        self.assertEqual((headless["clusterIP"], headless["publishNotReadyAddresses"]), ("None", True))
        self.assertEqual(config["cluster"]["certificate"], "/etc/claviger/cluster/claviger-0.pem")
        # A pod is given the time that the node takes.
        delay = seconds(config["node"]["drain_delay"])
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], delay + 15)
        pins = re.findall(r"--from-file=(hsm-\w)=", (FOLDER / "README.md").read_text())
        self.assertEqual([f"/etc/claviger/pins/{name}" for name in pins], [h["pin"]["file"] for h in config["hsm"]])

    def test_memory_is_that_of_the_unit(self):
        unit = (DEPLOY / "systemd" / "claviger.service").read_text()
        limit = re.search(r"^MemoryMax=(\d+)G$", unit, re.MULTILINE)[1]
        self.assertEqual(self.node["resources"]["limits"], {"memory": f"{limit}Gi"})

    def test_pods_have_no_privileges(self):
        self.assertIs(self.pod["securityContext"]["runAsNonRoot"], True)
        self.assertEqual(self.pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertIs(self.pod["automountServiceAccountToken"], False)
        for container in (self.node, self.template):
            self.assertEqual(
                container["securityContext"],
                {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                })
        self.assertEqual(self.objects["PodDisruptionBudget", "claviger"]["spec"]["maxUnavailable"], 1)
        self.assertEqual(self.set["replicas"], 3)

    def test_every_object_is_one_of_its_schema(self):
        """By the schemas of Kubernetes, from 1.29 (the oldest that a cloud still has) on; unknown fields are errors."""
        try:
            import kubernetes_validate
        except ImportError:
            raise unittest.SkipTest("kubernetes-validate is not installed (PyPI); `make package-test` does") from None
        for document in self.objects.values():
            for version in ("1.29", "1.33", "1.37"):
                with self.subTest(kind=document["kind"], name=document["metadata"]["name"], version=version):
                    kubernetes_validate.validate(document, version, strict=True)
        wrong = json.loads(json.dumps(self.objects["StatefulSet", "claviger"]))
        wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, "1.37", strict=True)

    def test_kubectl_builds_the_whole(self):
        built = run(tool("kubectl"), "kustomize", str(FOLDER))
        self.assertEqual(built.returncode, 0, built.stderr)
        documents = list(self.yaml.safe_load_all(built.stdout))
        [config] = [d for d in documents if d["kind"] == "ConfigMap"]
        [pods] = [d for d in documents if d["kind"] == "StatefulSet"]
        [template] = [v for v in pods["spec"]["template"]["spec"]["volumes"] if v["name"] == "template"]
        self.assertEqual(template["configMap"]["name"], config["metadata"]["name"])
        self.assertEqual(config["data"]["claviger.toml"], (FOLDER / "claviger.toml").read_text())
        for document in documents:
            if document["kind"] != "Namespace":
                self.assertEqual(document["metadata"]["namespace"], "claviger")

    def test_kubectl_knows_every_field(self):
        """`kubectl create --dry-run=client` asks a server what kinds there are. What works without one: kubectl's local
        changes, for which it reads an object into its own type and writes it again. A field that it does not know is
        lost on the way."""
        kubectl = tool("kubectl")
        changes = {"StatefulSet": ["set", "image"], "Service": ["set", "selector"]}
        for (kind, name), document in self.objects.items():
            if kind not in changes:
                continue
            with self.subTest(kind=kind, name=name), tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(document, file)
                file.flush()
                change = "claviger=other" if kind == "StatefulSet" else "app.kubernetes.io/name=other"
                told = run(
                    kubectl, *changes[kind], "--local", "--dry-run=client", "-o", "json", "-f", file.name, change)
                self.assertEqual(told.returncode, 0, told.stderr)
                lost = paths(document) - paths(json.loads(told.stdout))
                self.assertEqual(lost, set())
