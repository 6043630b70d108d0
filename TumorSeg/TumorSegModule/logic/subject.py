"""A volume's place under its patient and study, as 3D Slicer's DICOM module has it. MRML, no Qt."""

from __future__ import annotations

from collections.abc import Mapping

import slicer

DICOM_UID = "DICOM"
PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = ("StudyDate",)


def put_under_patient(volume: slicer.vtkMRMLScalarVolumeNode, said: Mapping[str, str]) -> None:
    """Put a volume under patient and study in the subject hierarchy.

    Reports can then say who it is, where that is ticked, and a patient's cases stay together.

    Args:
        volume: node.
        said: by its images, by DICOM's keyword; nothing happens where they name no patient.
    """
    number, name = said.get("PatientID", "").strip(), said.get("PatientName", "").strip()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None or not (number or name):
        return
    uid = number or name
    patient = hierarchy.GetItemByUID(DICOM_UID, uid)
    if not patient:
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name or number)
        hierarchy.SetItemUID(patient, DICOM_UID, uid)
        for keyword in PATIENT:
            hierarchy.SetItemAttribute(patient, f"DICOM.{keyword}", said.get(keyword, "").strip())
    study = hierarchy.CreateStudyItem(patient, said.get("StudyDescription", "").strip())
    for keyword in STUDY:
        hierarchy.SetItemAttribute(study, f"DICOM.{keyword}", said.get(keyword, "").strip())
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), study)
