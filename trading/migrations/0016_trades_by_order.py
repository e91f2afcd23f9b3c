import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('instruments', '0001_initial'),
        ('trading', '0015_live_orders_of_customer'),
    ]

    operations = [
        migrations.AlterField(
            model_name='trade',
            name='buy_order',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='buys', to='trading.order'),
        ),
        migrations.AlterField(
            model_name='trade',
            name='sell_order',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='sells', to='trading.order'),
        ),
        migrations.AddIndex(
            model_name='trade',
            index=models.Index(fields=['buy_order', 'id'], name='trade_of_buy_order'),
        ),
        migrations.AddIndex(
            model_name='trade',
            index=models.Index(fields=['sell_order', 'id'], name='trade_of_sell_order'),
        ),
    ]
