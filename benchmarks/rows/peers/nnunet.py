"""nnU-Net v2's own predictor with a 2d U-Net of random weights, one process, case by case.

    python nnunet.py OUT WIDTH SIZE SPACING window|zscore mirror|plain VOLUME [VOLUME ...]

Its plain convolutional U-Net has five stages of two convolutions, WIDTH features in the first; SIZE
is its patch, SPACING the pixels' in mm. Cases are predicted without the processes that nnU-Net
starts for several: for one they only cost time.
"""

import sys

import torch

if __name__ == "__main__":
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    out, width, size, spacing, normalisation, mirror, *paths = sys.argv[1:]
    stages = 5
    scheme = {"window": "CTNormalization", "zscore": "ZScoreNormalization"}[normalisation]
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    labels = {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None}
    intensities = {"mean": 60, "std": 50, "percentile_00_5": -40, "percentile_99_5": 160}
    configuration = {
        "data_identifier": "benchmark_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 8,
        "patch_size": [int(size)] * 2,
        "median_image_size_in_voxels": [int(size)] * 2,
        "spacing": [float(spacing)] * 2,
        "normalization_schemes": [scheme] * len(paths),
        "use_mask_for_norm": [False] * len(paths),
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg_kwargs": labels,
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling | {"order": 1},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": stages,
                "features_per_stage": [int(width) << stage for stage in range(stages)],
                "conv_op": "torch.nn.modules.conv.Conv2d",
                "kernel_sizes": [[3, 3]] * stages,
                "strides": [[1, 1], *[[2, 2]] * (stages - 1)],
                "n_conv_per_stage": [2] * stages,
                "n_conv_per_stage_decoder": [2] * (stages - 1),
                "conv_bias": True,
                "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": True,
    }
    plans = PlansManager(
        {
            "dataset_name": "Dataset001_Benchmark",
            "plans_name": "nnUNetPlans",
            "original_median_spacing_after_transp": [1.0, float(spacing), float(spacing)],
            "original_median_shape_after_transp": [40, int(size), int(size)],
            "image_reader_writer": "SimpleITKIO",
            "transpose_forward": [0, 1, 2],
            "transpose_backward": [0, 1, 2],
            "configurations": {"2d": configuration},
            "experiment_planner_used": "ExperimentPlanner",
            "label_manager": "LabelManager",
            "foreground_intensity_properties_per_channel": {
                str(channel): intensities for channel in range(len(paths))
            },
        }
    )
    dataset = {
        "channel_names": {str(channel): normalisation for channel in range(len(paths))},
        "labels": {"background": 0, "liver": 1, "tumour": 2},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    architecture = configuration["architecture"]
    torch.manual_seed(0)
    network = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        len(paths),
        3,
        deep_supervision=False,
    )
    if mirror == "gflop":
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(torch.rand(1, len(paths), int(size), int(size)))
        sys.exit(print(counter.get_total_flops() / 1e9))
    predictor = nnUNetPredictor(
        use_mirroring=mirror == "mirror",
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        network, plans, plans.get_configuration("2d"), [network.state_dict()], dataset, "", (0, 1)
    )
    predictor.predict_from_files_sequential([paths], [out.removesuffix(".nii.gz")])
