"""Corrected segmentations as a data set to train on: a folder in the raw layout of nnU-Net v2.

    DatasetNNN_Name/
        dataset.json                    channels, labels, and the whole cases
        imagesTr/<case>_<channel>.nii.gz
        labelsTr/<case>.nii.gz
        cases/<case>.json               where the case comes from; see `case_metadata`
        segments/<case>/                cases whose segments overlap, one file a segment

Nothing in it says who the patient is, as far as voxels do not show it. Needs neither torch nor
3D Slicer.
"""
